#!/bin/sh
# Runs once, when the database cluster is made: the role under which Temporal keeps its state. It may make its
# own two databases and comes near none of ours.
set -eu
psql --no-psqlrc --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres \
    --set=password="$(cat /run/secrets/temporal_password)" <<'SQL'
CREATE ROLE temporal LOGIN CREATEDB PASSWORD :'password';
SQL
