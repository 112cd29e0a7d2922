# The end of a member, after members.sh. What it has stored stays, unless the cluster goes on without it.
systemctl disable --now --quiet "$unit" 2>/dev/null || :
rm -f -- "$join"
rm -rf -- "$state"
if ask_others && [ -z "$(of_listed "$own_peer" id)" ]; then rm -rf -- "$data"; fi
