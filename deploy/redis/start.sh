#!/bin/sh
# Starts the Redis container with its users; passwords come by the environment (REDIS_USER_API_PASSWORD for user-api), and
# only their hashes are written, not to a command line that everyone can list.
set -eu
umask 077
here=$(dirname "$0")
printf 'requirepass %s\n' "$REDIS_PASSWORD" >/tmp/redis.conf
while read -r line; do
  case $line in
    user*)
      name=${line#user }
      name=${name%% *}
      variable=REDIS_$(printf %s "$name" | tr 'a-z-' 'A-Z_')_PASSWORD
      password=$(printenv "$variable") || { echo "$variable is not set" >&2; exit 1; }
      hash=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
      printf '%s\n' "$line" | sed "s/@$name@/$hash/" >>/tmp/redis.conf
      ;;
  esac
done <"$here/users.acl"
exec redis-server /tmp/redis.conf --bind '* -::*' --dir /data --appendonly yes --save '' --maxmemory-policy noeviction
