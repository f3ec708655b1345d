#!/bin/sh
# Makes the namespace of our workflows, once Temporal answers.
set -eu

# By number: the client does not always resolve the names of a container network.
host=$(getent ahosts temporal | awk '/STREAM/ { print $1; exit }')
TEMPORAL_ADDRESS=$host:7233
export TEMPORAL_ADDRESS

until temporal operator cluster health >/dev/null 2>&1; do
    echo "Waiting for Temporal."
    sleep 2
done
if ! temporal operator namespace describe --namespace default >/dev/null 2>&1; then
    temporal operator namespace create --namespace default --retention 30d
fi
