#!/bin/sh
# Makes the secret files that docker-compose.yml mounts, each once: what is there stays as it is. Only redis_users is made
# anew each time, by the rules of ops/redis/users.acl, which may be others after an upgrade.
#   sh ops/docker/make-secrets.sh [FOLDER]        (secrets/ if none is named)
# Run by root the files belong to the users of the containers, mode 400. Run by others, or where root may not give files
# away, they are mode 444 in a folder of mode 700: nobody else on this host gets there, and every container that mounts one
# can read it.
set -eu
umask 077
folder=${1:-secrets}
outdial=10001 redis=999 grafana=472
rules=$(dirname "$0")/../redis/users.sh

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# keep NAME OWNER: stdin becomes the file, complete or not at all.
keep() {
	cat >"$folder/$1.new"
	if [ "$(id -u)" = 0 ] && chown "$2" "$folder/$1.new"; then chmod 400 "$folder/$1.new"; else chmod 444 "$folder/$1.new"; fi
	mv "$folder/$1.new" "$folder/$1"
	echo "made $folder/$1"
}

missing() { [ ! -e "$folder/$1" ]; }

# The password in an address of our own Redis; nothing where it names another.
password_in() { sed -n 's#^redis://outdial-[a-z]*:\([0-9a-f]*\)@redis:6379/.*#\1#p' "$folder/$1"; }

hash_in() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1; }

# Redis knows hashes of passwords alone. Beside outdial's users there are one for health checks, who needs no password,
# and one for administrators, who may do everything, and whose password no container is given.
users() {
	sh "$rules" "$passwords"
	echo "user health on nopass resetkeys resetchannels -@all +ping"
	echo "user admin on #$(hash_in "$folder/redis_admin") ~* &* +@all"
}

mkdir -p "$folder"
chmod 700 "$folder"

for kind in worker intake flower; do
	if missing "redis_url_$kind"; then
		printf 'redis://outdial-%s:%s@redis:6379/0\n' "$kind" "$(random)" | keep "redis_url_$kind" "$outdial"
	fi
done
if missing redis_admin; then random | keep redis_admin "$(id -u)"; fi

passwords=$folder/.passwords
trap 'rm -rf "$passwords"' EXIT
mkdir -p "$passwords"
for kind in worker intake flower; do password_in "redis_url_$kind" >"$passwords/$kind"; done
if [ -s "$passwords/worker" ] && [ -s "$passwords/intake" ] && [ -s "$passwords/flower" ]; then
	made=$(users)
	printf '%s\n' "$made" | keep redis_users "$redis"
else
	echo "left redis_users out: $folder/redis_url_* name a Redis of your own"
fi

if missing flower_password; then random | keep flower_password "$outdial"; fi
if missing grafana_password; then random | keep grafana_password "$grafana"; fi
# That of the simulated PBX. For a PBX of your own write its password into the file.
if missing pbx_hq_password; then random | keep pbx_hq_password "$outdial"; fi
