#!/bin/sh
# Starts the Redis of docker-compose.yml with the users of /run/secrets/redis_users (make-secrets.sh).
set -eu
umask 077
case $(redis-server --version) in
# It does not know CLIENT SETINFO, and would not start with users who may send it.
*v=7.0.*) sed 's/ +client|setinfo//' ;;
*) cat ;;
esac </run/secrets/redis_users >/tmp/users.acl
exec redis-server /usr/local/etc/redis/redis.conf
