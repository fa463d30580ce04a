#!/bin/sh
# Draws the secrets of compose.yaml into ./secrets, once; what is there stays.
#
# The folder is for its owner alone. The files in it are readable to all: compose mounts them as they
# are, and the services, none of which is root, have other user numbers than you.
set -eu
cd "$(dirname "$0")"

drawn() { head -c 24 /dev/urandom | od -An -vtx1 | tr -d ' \n'; }
keep() { [ -s "secrets/$1" ] || { printf '%s' "$2" > "secrets/$1"; chmod 0444 "secrets/$1"; }; }

mkdir -p secrets
chmod 0700 secrets

for name in postgres_password dagster_pg_password mlflow_pg_password; do
  keep "$name" "$(drawn)"
done

# The key of the object store stands in two files: as its clients read it, and as it reads it itself.
if [ ! -s secrets/object_store_credentials ] || [ ! -s secrets/object_store_identities ]; then
  rm -f secrets/object_store_credentials secrets/object_store_identities
  key=$(drawn) secret=$(drawn)
  keep object_store_credentials "[default]
aws_access_key_id = $key
aws_secret_access_key = $secret
"
  keep object_store_identities "{\"identities\": [{\"name\": \"lung\",
  \"credentials\": [{\"accessKey\": \"$key\", \"secretKey\": \"$secret\"}],
  \"actions\": [\"Admin\", \"Read\", \"Write\", \"List\", \"Tagging\"]}]}
"
fi
