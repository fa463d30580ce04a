#!/bin/sh
# Two databases, each with a user of its own who sees the other's not. Run once, by the image, when
# the data folder is new. psql reads the passwords from their files: whatever
# stands in one, it is a value and never SQL.
set -eu

database() {
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
    --set=name="$1" <<SQL
\set password \`cat '${SECRETS:-/run/secrets}/$2'\`
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

database dagster dagster_pg_password
database mlflow mlflow_pg_password
