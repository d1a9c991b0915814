#!/bin/bash
# First start of a database container: makes the roles of its database, passwords from <ROLE>_PASSWORD.
set -euo pipefail
passwords=()
while IFS='=' read -r name value; do
  [[ $name == *_PASSWORD && $name != POSTGRES_PASSWORD ]] && passwords+=(-v "${name,,}=$value")
done < <(env)
psql -X -q -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d "$POSTGRES_DB" "${passwords[@]}" \
  -f "/roles/$POSTGRES_DB.sql"
