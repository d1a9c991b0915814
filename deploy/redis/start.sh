#!/bin/sh
# Starts the Redis container with its users; passwords come by the environment (REDIS_USER_API_PASSWORD for user-api), and
# only their hashes are written, not to a command line that everyone can list.
set -eu
umask 077
here=$(dirname "$0")

# Gives the password of a variable; production refuses what the services refuse (shared/settings.py).
password_of() {
  password=$(printenv "$1") || { echo "refusing to start: $1: the secret is missing" >&2; exit 1; }
  if [ "${APP_ENV:-development}" = production ]; then
    case $password in
      *dev-* | *changeme* | *example* | *sandbox*)
        echo "refusing to start: $1: a development default" >&2; exit 1 ;;
    esac
    [ ${#password} -ge 8 ] || { echo "refusing to start: $1: too weak: 8 random characters are the least" >&2; exit 1; }
  fi
}

password_of REDIS_PASSWORD
settings="requirepass $password"
while read -r line; do
  case $line in
    user*)
      name=${line#user }
      name=${name%% *}
      password_of "REDIS_$(printf %s "$name" | tr 'a-z-' 'A-Z_')_PASSWORD"
      hash=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
      settings="$settings
$(printf %s "$line" | sed "s/@$name@/$hash/")"
      ;;
  esac
done <"$here/users.acl"
printf '%s\n' "$settings" >/tmp/redis.conf
exec redis-server /tmp/redis.conf --bind '* -::*' --dir /data --appendonly yes --save '' --maxmemory-policy noeviction
