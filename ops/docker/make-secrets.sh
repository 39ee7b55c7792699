#!/bin/sh
# Makes the secret files that docker-compose.yml mounts, each once: what is there stays as it is.
#   sh ops/docker/make-secrets.sh [FOLDER]        (secrets/ if none is named)
# Run by root the files belong to the users of the containers, mode 400. Run by others they are mode 444 in a folder of
# mode 700: nobody else on this host gets there, and every container that mounts one can read it.
set -eu
umask 077
folder=${1:-secrets}
outdial=10001 redis=999 grafana=472

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# keep NAME OWNER: stdin becomes the file, complete or not at all.
keep() {
	cat >"$folder/$1.new"
	if [ "$(id -u)" = 0 ]; then chown "$2" "$folder/$1.new" && chmod 400 "$folder/$1.new"; else chmod 444 "$folder/$1.new"; fi
	mv "$folder/$1.new" "$folder/$1"
	echo "made $folder/$1"
}

missing() { [ ! -e "$folder/$1" ]; }

mkdir -p "$folder"
chmod 700 "$folder"

# Redis knows the password's hash alone. Nobody can log in as the default user, and it may do everything all the same:
# Redis reads its append-only file as that user, and 7.0 and 8.0 were seen to drop what it may not do, and to go on.
if missing redis_url || missing redis_users; then
	password=$(random)
	hash=$(printf %s "$password" | sha256)
	keep redis_users "$redis" <<-END
		user default off ~* &* +@all
		user health on nopass resetkeys resetchannels -@all +ping
		user outdial on #$hash ~* &* +@all
	END
	printf 'redis://outdial:%s@redis:6379/0\n' "$password" | keep redis_url "$outdial"
fi
if missing flower_password; then random | keep flower_password "$outdial"; fi
if missing grafana_password; then random | keep grafana_password "$grafana"; fi
# That of the simulated PBX. For a PBX of your own write its password into the file.
if missing pbx_hq_password; then random | keep pbx_hq_password "$outdial"; fi
