#!/bin/sh
# Make an authority of one's own and certificates by it, for TLS between Redis and those who use it.
#
#   sh certificates.sh FOLDER HOST...      HOST: each name or IP address under which redis_url may name Redis
#
# Makes in FOLDER: ca.pem and ca.key; server.pem and server.key for Redis (and its replicas and sentinels: give all their
# names); client.pem and client.key for outdial. The authority is kept and used again when the script is run again, which
# makes the other two anew. ca.key belongs on none of these machines: keep it where it is needed once a year.
set -eu

folder=${1:?give a folder}
shift
[ $# -gt 0 ] || { echo "certificates.sh: give the host names and addresses of Redis" >&2; exit 2; }
days=${DAYS:-397}
umask 077
mkdir -p "$folder"
cd "$folder"

names=
for host in "$@"; do
	case $host in
	*[!0-9.]*) case $host in *:*) kind=IP ;; *) kind=DNS ;; esac ;;
	*) kind=IP ;;
	esac
	names="${names:+$names,}$kind:$host"
done

new_key() { openssl ecparam -genkey -name prime256v1 -noout -out "$1"; }

if [ ! -f ca.key ]; then
	new_key ca.key
	openssl req -x509 -new -key ca.key -sha256 -days 3650 -subj "/CN=outdial Redis authority" -out ca.pem \
		-addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign
fi

# A server also asks others: replicas their primary, sentinels each other.
certify() { # NAME USES [SUBJECT-ALT-NAMES]
	new_key "$1.key"
	{
		echo "basicConstraints=critical,CA:FALSE"
		echo "keyUsage=critical,digitalSignature"
		echo "extendedKeyUsage=$2"
		echo "subjectKeyIdentifier=hash"
		echo "authorityKeyIdentifier=keyid"
		if [ -n "${3:-}" ]; then echo "subjectAltName=$3"; fi
	} >"$1.ext"
	openssl req -new -key "$1.key" -subj "/CN=outdial Redis $1" -out "$1.csr"
	openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -sha256 -days "$days" \
		-extfile "$1.ext" -out "$1.pem" 2>/dev/null
	rm -f "$1.csr" "$1.ext"
}

certify server serverAuth,clientAuth "$names"
certify client clientAuth
rm -f ca.srl
chmod 644 ca.pem server.pem client.pem
