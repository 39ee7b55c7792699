#!/bin/sh
# Write Redis's users to stdout, from users.acl beside this script and a folder with a file for each password.
#
#   sh users.sh FOLDER [NAMESPACE [DATABASE]]      NAMESPACE as in the settings, DATABASE the number in redis_url
#
# The files worker, intake and flower must be there; admin, results, replica and sentinel where somebody is to use them.
#
# Needs what every Redis image has: sh, awk and sha256sum (or shasum, as on macOS). Passwords are taken without the newline at their end, as the
# processes read them, and appear in no argument list; only their SHA-256 goes into the output, which is as far as
# Redis itself needs them. They must be long random ones, for a hash of a short one can be searched.
#
# Redis before 7.2 does not know CLIENT SETINFO, with which clients tell their version: OLD_REDIS=1 leaves it out. Redis
# before 7.0 knows neither the read-only keys (%R~) nor subcommands well enough; do not put jobs on one.
set -eu

folder=${1:?give the folder that holds a file with the password of each user: worker, intake, flower}
namespace=${2:-outdial}
database=${3:-0}
template=$(dirname "$0")/users.acl

hash_of() {
	[ -s "$folder/$1" ] || { echo "users.sh: $folder/$1 is missing or empty; put the password of outdial-$1 there" >&2; return 1; }
	# $(...) drops newlines at the end.
	password=$(cat "$folder/$1")
	printf %s "$password" | if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

hash_if_there() {
	[ ! -e "$folder/$1" ] || hash_of "$1"
}

worker=$(hash_of worker)
intake=$(hash_of intake)
flower=$(hash_of flower)
results=$(hash_if_there results)
replica=$(hash_if_there replica)
sentinel=$(hash_if_there sentinel)
admin=$(hash_if_there admin)

# An ACL file has a user a line, and no comments.
awk -v namespace="$namespace" -v worker="$worker" -v intake="$intake" -v flower="$flower" -v database="$database" \
	-v results="$results" -v replica="$replica" -v sentinel="$sentinel" -v admin="$admin" -v setinfo="${OLD_REDIS:+no}" '
	/^#/ || /^[ \t]*$/ { next }
	/^user/ {
		left_out = /@results@/ && results == "" || /@replica@/ && replica == "" || \
			/@sentinel@/ && sentinel == "" || /@admin@/ && admin == ""
	}
	left_out { next }
	{
		gsub("@worker@", worker); gsub("@intake@", intake); gsub("@flower@", flower)
		gsub("@results@", results); gsub("@replica@", replica); gsub("@sentinel@", sentinel); gsub("@admin@", admin)
		gsub("@database@", database)
		gsub("~outdial", "~" namespace); gsub("&outdial", "\\&" namespace)
		if (setinfo == "no") sub(/ [+]client[|]setinfo/, "")
		sub(/[ \t]+$/, "")
	}
	/^[ \t]/ { sub(/^[ \t]+/, ""); line = line " " $0; next }
	{ if (line != "") print line; line = $0 }
	END { print line }
' "$template"
