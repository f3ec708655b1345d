"""What the service knows before anybody tells it anything: tables of public facts, with their sources.

The tables are CSV files beside this one; ``README.md`` says where each fact comes from and how sure it is.
"""
