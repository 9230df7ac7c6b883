#include "model/ip.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>

int ip_parse(const char *text, struct ip *ret)
{
	struct ip ip = { 0 };

	if (inet_pton(AF_INET, text, ip.octet) == 1)
		ip.family = 4;
	else if (inet_pton(AF_INET6, text, ip.octet) == 1)
		ip.family = 6;
	else
		return -EINVAL;
	*ret = ip;
	return 0;
}

char *ip_format(const struct ip *ip, char buf[static IP_TEXT_MAX])
{
	int family = ip->family == 4 ? AF_INET : AF_INET6;

	assert(ip->family == 4 || ip->family == 6);
	/* Cannot fail: the family is known and the buffer is large enough. */
	inet_ntop(family, ip->octet, buf, IP_TEXT_MAX);
	return buf;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return a->family == b->family && memcmp(a->octet, b->octet, sizeof(a->octet)) == 0;
}

struct ip ip_link_local(vmac_mac_t m)
{
	return (struct ip){
		.family = 6,
		.octet = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m.octet[0] ^ 0x02, m.octet[1], m.octet[2],
			   0xff, 0xfe, m.octet[3], m.octet[4], m.octet[5] },
	};
}
