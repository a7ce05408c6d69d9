"""Tables: roles proposed for columns, and k-anonymity, l-diversity and t-closeness of records."""

from __future__ import annotations

from sealtune.deid.tables.plan import TablePlan, TableResult, plan_table
from sealtune.deid.tables.roles import ProposedRole, propose_roles, roles_toml

__all__ = ["ProposedRole", "TablePlan", "TableResult", "plan_table", "propose_roles", "roles_toml"]
