# Reads the page of its neighbour every few seconds. It ends at once when it is asked to.
trap 'echo "goodbye"; exit 0' TERM
echo "visiting http://127.0.0.1/ as $(id -u), from $(hostname)"
while :; do
    if page=$(wget -q -O - http://127.0.0.1/ 2>/dev/null); then
        echo "read: $(echo "$page" | sed -n 's,.*<h1>\(.*\)</h1>.*,\1,p')"
    else
        echo "no page: the server is away"
    fi
    sleep 2 &
    wait $!
done
