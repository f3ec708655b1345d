#!/bin/sh
# Makes Temporal's two databases and brings their tables up to the version of these tools. Running it again
# changes nothing.
set -eu
SQL_PASSWORD=$(cat /run/secrets/temporal_password)
export SQL_PASSWORD

tool() {
    temporal-sql-tool --plugin postgres12 --ep postgresql -p 5432 -u temporal "$@"
}

for part in temporal:temporal temporal_visibility:visibility; do
    database=${part%%:*}
    tables=${part##*:}
    tool --db "$database" create
    tool --db "$database" setup-schema -v 0.0
    tool --db "$database" update-schema -d "/etc/temporal/schema/postgresql/v12/$tables/versioned"
    echo "The database $database is ready."
done
