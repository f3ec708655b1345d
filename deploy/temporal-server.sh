#!/bin/sh
# Starts Temporal with the password of its database, which it reads from the environment and from nowhere else.
set -eu
POSTGRES_PWD=$(cat /run/secrets/temporal_password)
export POSTGRES_PWD
exec /etc/temporal/entrypoint.sh
