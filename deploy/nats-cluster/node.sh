#!/bin/sh
# One node of a cluster of brokers; run one on each of three machines.
#
#   node.sh NAME DATA PEER PEER      (NAME: of this node; PEER: host:port of the others' routes)
#
# DATA is a data folder whose broker/ has workers.conf, nats.conf and secrets.json, the same on all
# nodes. MESH_CLUSTER_PASSWORD is a secret of the nodes alone; MESH_CLUSTER_ADVERTISE, host:port,
# says where the others reach this one if not where it listens. See README.md beside this file.
set -eu

name=$1 data=$2
shift 2
: "${MESH_CLUSTER_PASSWORD:?a secret that the nodes share}"
: "${MESH_NATS_HOST:=0.0.0.0}" "${MESH_NATS_PORT:=4222}" "${MESH_CLUSTER_PORT:=6222}"

secret() { sed -n "s/^ *\"$1\": \"\(.*\)\",*$/\1/p" "$data/broker/secrets.json"; }
MESH_GATEWAY_PASSWORD="\"$(secret gateway)\""
MESH_STORE_PASSWORD="\"$(secret store)\""
MESH_OPERATOR_PASSWORD="\"$(secret operator)\""
export MESH_GATEWAY_PASSWORD MESH_STORE_PASSWORD MESH_OPERATOR_PASSWORD

routes=
for peer in "$@"; do
    routes="${routes:+$routes,}nats://cluster:$MESH_CLUSTER_PASSWORD@$peer"
done

exec nats-server -c "$data/broker/workers.conf" -n "$name" \
    -a "$MESH_NATS_HOST" -p "$MESH_NATS_PORT" -sd "$data/broker/streams" -P "$data/broker/nats.pid" \
    --cluster_name mesh \
    --cluster "nats://cluster:$MESH_CLUSTER_PASSWORD@$MESH_NATS_HOST:$MESH_CLUSTER_PORT" \
    ${MESH_CLUSTER_ADVERTISE:+--cluster_advertise "$MESH_CLUSTER_ADVERTISE"} \
    --routes "$routes"
