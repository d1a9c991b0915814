#!/bin/bash
# First start of a database container: makes the roles of its database, passwords from <ROLE>_PASSWORD.
set -euo pipefail
passwords=()
while IFS='=' read -r name value; do
  [[ $name == *_PASSWORD ]] || continue
  # production refuses what the services refuse (shared/settings.py); the superuser's password they never see
  if [[ ${APP_ENV:-development} == production && ( $value == *dev-* || ${#value} -lt 8 ) ]]; then
    echo "refusing to start: $name: a development default or too weak" >&2
    exit 1
  fi
  [[ $name == POSTGRES_PASSWORD ]] || passwords+=(-v "${name,,}=$value")
done < <(env)
psql -X -q -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d "$POSTGRES_DB" "${passwords[@]}" \
  -f "/roles/$POSTGRES_DB.sql"
