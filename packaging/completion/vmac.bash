# Completion of vmac(1) for bash.  Names are asked of the daemon, which may not run: then there are none.

# The values of one field of what a list prints, whatever its layout.
__vmac_field() # NOUN FIELD
{
	local socket=() i

	for ((i = 1; i < ${#words[@]} - 1; i++)); do
		[[ ${words[i]} == --socket ]] && socket=(--socket "${words[i + 1]}")
	done
	command vmac "${socket[@]}" --json "$1" list 2>/dev/null |
		grep -o "\"$2\" *: *\"[^\"]*\"" | sed 's/.*"\([^"]*\)"$/\1/' | sort -u
}

__vmac_macs()
{
	__vmac_field mac address
	__vmac_field mac name | grep .
}

# What may follow an option; false where it takes no value.
__vmac_value() # OPTION
{
	case $1 in
	--segment) __vmac_field segment name ;;
	--pool) __vmac_field pool name ;;
	--mac) [[ $noun == @(router|cluster) ]] || __vmac_macs ;;
	--member) __vmac_macs ;;
	--mode) echo director distributed carry ;;
	--affinity) echo none single network ;;
	--table) echo rendezvous maglev ;;
	--check) echo none arp tcp http https ;;
	--interface) ls /sys/class/net 2>/dev/null ;;
	--protocol) echo vrrp3 vrrp2 hsrp1 hsrp2 carp ;;
	--checksum) echo auto pseudo-header plain ;;
	--garp) echo request reply both ;;
	--auth) echo none text md5 hmac ;;
	--auth-mode) echo receive-only permissive enforce ;;
	--track) compgen -W 'interface: route: script: file: router: http: ping:' -- "$cur" ;;
	--notify | --key-file) compgen -f -- "$cur" ;;
	--uplink | --ifname) ls /sys/class/net 2>/dev/null ;;
	--netns) ls /run/netns 2>/dev/null ;;
	--user) [[ $noun == registry ]] || compgen -u ;;
	--group) [[ $noun == router ]] || compgen -g ;;
	--kind) echo tap veth netdev ;;
	--state) echo reserved bound moving quarantined away ;;
	--allow) echo dhcp-server router-advert any-ip ;;
	--owner | --tenant) __vmac_field mac "${1#--}" ;;
	--socket | --config | --ca | --cert | --password-file | --from) compgen -f -- "$cur" ;;
	--state-dir | --dir) compgen -d -- "$cur" ;;
	--to) echo shared own ;;
	--vlan | --range | --exclude | --quarantine | --limit | --name | --note | --ip | --address | \
		--adopt | --stable | --ttl | --count | --name-prefix | --peer-ifname | --queues | \
		--mtu | --flood-pps | --since | --seconds | --reason | --set | --priority | --interval | \
		--hold | --preempt-delay | --boot-hold | --announce-count | --announce-refresh | \
		--linger | --peer | --source | --device | --host | --lifetime | --fenced-by | --endpoint | \
		--prefix | --faces | --rule | --check-port | --check-path | --check-interval | \
		--check-timeout | --rise | --fall | --weight | --within) ;;
	--key)
		[[ $noun == registry ]] && compgen -f -- "$cur"
		[[ "$noun $verb" == "pool add" || $noun == @(router|decode|registry) ]]
		;;
	*) return 1 ;;
	esac
}

__vmac_router_options()
{
	echo --protocol --interface --group --address --set --priority --interval --hold --learn \
		--preempt --no-preempt --preempt-delay --boot-hold --accept --no-accept --also-v2 \
		--checksum --garp --announce-count --announce-refresh --linger --peer --source --mac \
		--device --auth --auth-mode --key --key-file --track --notify --note --reason
}

__vmac_cluster_options()
{
	echo --address --rule --affinity --table --nat --check --check-port --check-path --check-interval \
		--check-timeout --rise --fall --member --note --reason
}

__vmac_registry_options()
{
	echo --config --state-dir --host --endpoint --prefix --ca --cert --key --user --password-file
}

__vmac_options()
{
	case "$noun $verb" in
	"segment add") echo --uplink --vlan --reason ;;
	"pool add") echo --segment --range --exclude --quarantine --limit --key --reason ;;
	"pool show") echo --key ;;
	"pool set") echo --quarantine --limit --reason ;;
	"mac add") echo --segment --pool --name --owner --tenant --note --ip --address --adopt --stable \
		--ttl --count --name-prefix --reason ;;
	"mac list") echo --segment --pool --owner --tenant --state --limit ;;
	"mac set") echo --segment --name --owner --tenant --note --ip --no-ips --ttl --reason ;;
	"mac show" | "mac history") echo --segment ;;
	"mac renew" | "mac release" | "mac delete") echo --segment --reason ;;
	"mac prepare") echo --segment --lifetime --reason ;;
	"mac move") echo --segment --force --reason ;;
	"mac activate" | "mac abort" | "mac stop" | "mac resume" | "mac thaw") echo --segment --reason ;;
	"host drain" | "host undrain" | "host forget") echo --reason ;;
	"host dead") echo --fenced-by --reason ;;
	"registry check") echo --repair --from; __vmac_registry_options ;;
	"registry export" | "registry import") echo --shared; __vmac_registry_options ;;
	"registry copy") echo --to --uplink --from; __vmac_registry_options ;;
	"hook libvirt") echo --segment --user --group ;;
	"hook qmp") echo --dir ;;
	"port add") echo --kind --segment --mac --pool --owner --tenant --note --ip --address --adopt --stable --ttl \
		--ifname --netns --peer-ifname --user --group --queues --mtu --allow --flood-pps \
		--closed --reason ;;
	"port set") echo --allow --flood-pps --reason ;;
	"port delete") echo --release --reason ;;
	"segment delete" | "pool delete" | "port open" | "port close") echo --reason ;;
	"router add") __vmac_router_options; echo --disabled ;;
	"router set") __vmac_router_options; echo --no-learn --no-also-v2 --no-tracks --enable --disable ;;
	"router delete") echo --reason ;;
	"router history") echo --limit ;;
	"cluster add") __vmac_cluster_options; echo --segment --mode --mac --faces --pool ;;
	"cluster set") __vmac_cluster_options; echo --no-nat --no-rules ;;
	"cluster member add") echo --weight --priority --reason ;;
	"cluster member drain") echo --within --reason ;;
	"cluster delete" | "cluster member "*) echo --reason ;;
	"import keepalived") echo --host ;;
	"decode "*) echo --key --key-file --address --offloaded --all ;;
	"history "*) echo --segment --since --limit ;;
	"watch "*) echo --count --seconds ;;
	esac
}

__vmac_arguments()
{
	case "$noun $verb" in
	"segment show" | "segment delete") __vmac_field segment name ;;
	"pool show" | "pool set" | "pool delete") __vmac_field pool name ;;
	"port show" | "port set" | "port open" | "port close" | "port delete")
		__vmac_field port name
		;;
	"router show" | "router set" | "router delete" | "router history")
		__vmac_field router name
		;;
	"cluster show" | "cluster set" | "cluster delete") __vmac_field cluster name ;;
	"cluster member") echo add weight priority drain fail activate remove ;;
	"cluster member "*)
		__vmac_field cluster name
		__vmac_macs
		;;
	"host show" | "host drain" | "host undrain" | "host dead" | "host forget") __vmac_field host name ;;
	"import keepalived" | "decode "* | "registry export" | "registry import" | "hook qmp") compgen -f -- "$cur" ;;
	"mac show" | "mac set" | "mac renew" | "mac release" | "mac delete" | "mac history" | "history "* | \
		"mac prepare" | "mac activate" | "mac abort" | "mac stop" | "mac resume" | "mac move" | "mac thaw")
		__vmac_macs
		;;
	esac
}

__vmac_verbs()
{
	case $noun in
	segment) echo add list show delete ;;
	pool) echo add list show set delete ;;
	mac)
		echo add list show set renew release delete history prepare activate abort stop resume move thaw \
			moves
		;;
	host) echo list show drain undrain dead forget ;;
	registry) echo check export import copy ;;
	hook) echo libvirt libvirt-events qmp ;;
	port) echo add list show set open close delete ;;
	router) echo add list show set delete history ;;
	cluster) echo add list show set delete member ;;
	import) echo keepalived ;;
	esac
}

# words, cur and previous of the line up to the cursor, whatever bash makes of an address's colons.
__vmac_split()
{
	local line=${COMP_LINE:0:COMP_POINT}

	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=('')
	cur=${words[-1]}
	previous=''
	((${#words[@]} > 1)) && previous=${words[-2]}
}

_vmac()
{
	local cur previous words noun='' verb='' i

	__vmac_split
	COMPREPLY=()
	for ((i = 1; i < ${#words[@]} - 1; i++)); do
		case ${words[i]} in
		--socket) ((i++)) ;;
		-*) ;;
		*)
			if [[ -z $noun ]]; then
				noun=${words[i]}
			else
				verb=${words[i]}
				# The verbs about a cluster's members have two words.
				[[ "$noun $verb" == "cluster member" && i -lt ${#words[@]}-2 ]] && verb+=" ${words[i + 1]}"
				break
			fi
			;;
		esac
	done
	# These have no verbs: what follows is an argument.
	[[ $noun == @(history|status|watch|classify|decode) ]] && verb=''

	local offer
	if [[ $previous == -* ]] && offer=$(__vmac_value "$previous"); then
		:
	elif [[ $cur == -* ]]; then
		offer="$(__vmac_options) --help"
		[[ -z $noun ]] && offer="--socket --json --quiet --help --version"
	elif [[ -z $noun ]]; then
		offer="segment pool mac port router cluster history status watch classify decode import host registry hook"
	elif [[ -z $verb && $noun == @(segment|pool|mac|port|router|cluster|import|host|registry|hook) ]]; then
		offer=$(__vmac_verbs)
	else
		offer=$(__vmac_arguments)
	fi
	mapfile -t COMPREPLY < <(compgen -W "$offer" -- "$cur")
	# bash replaces only what stands behind the last colon.
	if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
		local stem=${cur%"${cur##*:}"}

		COMPREPLY=("${COMPREPLY[@]#"$stem"}")
	fi
}

complete -F _vmac vmac
