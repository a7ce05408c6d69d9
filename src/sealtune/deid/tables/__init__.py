"""Tables: roles proposed for columns, and k-anonymity, l-diversity and t-closeness of records."""

from __future__ import annotations

from sealtune.deid.tables.plan import TablePlan, TableResult, plan_table

__all__ = ["TablePlan", "TableResult", "plan_table"]
