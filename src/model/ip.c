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

static unsigned int ip_bits(uint8_t family)
{
	return family == 4 ? 32 : 128;
}

int ip_prefix_parse(const char *text, struct ip *ret, unsigned int *ret_bits)
{
	const char *slash = strchr(text, '/'), *at;
	char address[IP_TEXT_MAX];
	unsigned int bits = 0;
	struct ip ip;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (ip_parse(address, &ip) < 0)
		return -EINVAL;
	at = slash + 1;
	if (*at == '\0' || (at[0] == '0' && at[1] != '\0'))
		return -EINVAL;
	for (; *at; at++) {
		if (*at < '0' || *at > '9')
			return -EINVAL;
		bits = bits * 10 + (unsigned int)(*at - '0');
		if (bits > ip_bits(ip.family))
			return -EINVAL;
	}
	*ret = ip;
	*ret_bits = bits;
	return 0;
}

bool ip_host_part_is(const struct ip *ip, unsigned int bits, bool one)
{
	for (unsigned int i = bits; i < ip_bits(ip->family); i++)
		if ((ip->octet[i / 8] >> (7 - i % 8) & 1) != one)
			return false;
	return true;
}

bool ip_is_unicast(const struct ip *ip)
{
	static const uint8_t loopback[16] = { [15] = 1 };
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };

	if (ip_host_part_is(ip, 0, false))
		return false;
	if (ip->family == 4)
		return ip->octet[0] != 0 && ip->octet[0] != 127 && ip->octet[0] < 224;
	/* ::1 and IPv4-mapped addresses are nobody's on a link. */
	return ip->octet[0] != 0xff && memcmp(ip->octet, loopback, sizeof(loopback)) != 0 &&
	       memcmp(ip->octet, mapped, sizeof(mapped)) != 0;
}

bool ip_is_link_local(const struct ip *ip)
{
	if (ip->family == 4)
		return ip->octet[0] == 169 && ip->octet[1] == 254;
	return ip->octet[0] == 0xfe && (ip->octet[1] & 0xc0) == 0x80;
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
