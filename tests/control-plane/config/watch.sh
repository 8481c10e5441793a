# Ends a control plane when the process that started it is gone. That process holds the other end of our standard input,
# so the end of file comes however it died. A line `keep` tells us to leave everything as it is.
read -r word
[ "$word" = keep ] && exit 0
folder=$1

# Whether process $1 is the one that started at tick $2: the pid alone may belong to another one by now.
is_ours() {
  read -r line 2>/dev/null < "/proc/$1/stat" || return 1
  # Field 22 of the line; the fields after the name, which may hold spaces, begin with the third.
  set -- "$2" ${line##*) }
  [ "${21}" = "$1" ]
}

if [ -r "$folder/pids" ]; then
  while read -r pid start name; do
    is_ours "$pid" "$start" && kill -KILL "$pid" 2>/dev/null
  done < "$folder/pids"
fi
# A process may write a last file while we remove the folder.
rm -rf "$folder" 2>/dev/null || { sleep 1; rm -rf "$folder"; }
