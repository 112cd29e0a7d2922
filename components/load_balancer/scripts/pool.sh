# Takes a replica out of nginx or puts it back, after reload.sh. What it is in the middle of goes on.
#   out ADDRESS PORT NAME STATUS    NAME: what the replica's certificate says; STATUS: URL of nginx's page
#   in ADDRESS PORT NAME STATUS     as soon as it answers a question that makes it look at its storage, within a minute
here=/etc/berth/load-balancer
container=berth-load-balancer
verb=$1 address=$2 port=$3 name=$4 status=$5

answers() {
    curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' --cacert "$here/ca.crt" \
        --cert "$here/client.crt" --key "$here/client.key" --resolve "$name:$port:$address" \
        "https://$name:$port/v2/berth/ready/manifests/none" || :
}

answers_from_storage() {
    answer=$(answers)
    [ "$answer" = 404 ]
}

[ "$verb" = out ] || wait_for 60 answers_from_storage ||
    fail "the replica at $address stays out of the balancer: asked for a manifest it answers $answer (000:" \
        "not at all) instead of 404; see docker logs berth-registry on its node"

exec 9<"$here"
flock 9
case $verb in
in) put_in_pool "$address" "$port" '' ;;
out) put_in_pool "$address" "$port" ' down' ;;
esac
if is_loaded; then
    log 'nothing to change'
elif ! problem=$(reload_nginx); then
    fail "nginx did not take the replica at $address $verb: $problem"
fi
