#include "wire/arp.h"

#include <string.h>

#include "wire/eth.h"

#define HARDWARE_ETHERNET 1

static const uint8_t no_ip[4];

uint16_t arp_eth_type(uint16_t operation)
{
	return operation == RARP_REQUEST || operation == RARP_REPLY ? ETH_TYPE_RARP : ETH_TYPE_ARP;
}

static bool operation_known(uint16_t operation)
{
	return operation >= ARP_REQUEST && operation <= RARP_REPLY;
}

int arp_decode(struct reader *r, uint16_t eth_type, struct arp *ret, const char **ret_why)
{
	uint16_t hardware, protocol;
	struct reader in = *r;
	struct arp a = { 0 };
	uint8_t hlen, plen;

	hardware = read_u16(&in);
	protocol = read_u16(&in);
	hlen = read_u8(&in);
	plen = read_u8(&in);
	a.operation = read_u16(&in);
	wire_take(&in, a.sender_mac.octet, VMAC_MAC_LEN);
	wire_take(&in, a.sender_ip, sizeof(a.sender_ip));
	wire_take(&in, a.target_mac.octet, VMAC_MAC_LEN);
	wire_take(&in, a.target_ip, sizeof(a.target_ip));
	if (in.failed)
		return wire_fault(ret_why, "packet ends inside ARP");
	if (hardware != HARDWARE_ETHERNET || hlen != VMAC_MAC_LEN)
		return wire_fault(ret_why, "ARP for hardware other than Ethernet");
	if (protocol != ETH_TYPE_IPV4 || plen != sizeof(a.sender_ip))
		return wire_fault(ret_why, "ARP for a protocol other than IPv4");
	if (!operation_known(a.operation) || arp_eth_type(a.operation) != eth_type)
		return wire_fault(ret_why, "ARP operation does not belong to the Ethernet type");
	*ret = a;
	*r = in;
	return 0;
}

void arp_encode(struct writer *w, const struct arp *a)
{
	if (!operation_known(a->operation)) {
		w->failed = true;
		return;
	}
	write_u16(w, HARDWARE_ETHERNET);
	write_u16(w, ETH_TYPE_IPV4);
	write_u8(w, VMAC_MAC_LEN);
	write_u8(w, sizeof(a->sender_ip));
	write_u16(w, a->operation);
	write_bytes(w, a->sender_mac.octet, VMAC_MAC_LEN);
	write_bytes(w, a->sender_ip, sizeof(a->sender_ip));
	write_bytes(w, a->target_mac.octet, VMAC_MAC_LEN);
	write_bytes(w, a->target_ip, sizeof(a->target_ip));
}

bool arp_is_probe(const struct arp *a)
{
	return a->operation == ARP_REQUEST && memcmp(a->sender_ip, no_ip, sizeof(no_ip)) == 0;
}

bool arp_is_announcement(const struct arp *a)
{
	return a->operation == ARP_REQUEST && !arp_is_probe(a) &&
	       memcmp(a->sender_ip, a->target_ip, sizeof(a->sender_ip)) == 0;
}
