"""Rules for identifiers that have a form: numbers with check digits, labels, dates, addresses."""
