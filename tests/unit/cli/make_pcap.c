/* Writes a capture of every protocol by the codecs' own encoders, for test_decode.py. */
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/announce.h"
#include "wire/arp.h"
#include "wire/carp.h"
#include "wire/checksum.h"
#include "wire/eth.h"
#include "wire/hsrp.h"
#include "wire/ip.h"
#include "wire/vrrp.h"

#define PROTOCOL_UDP 17
#define START	     1750000000

static pcap_dumper_t *out;
static long long now_ms;

static void put(const struct writer *w)
{
	struct pcap_pkthdr h = { .ts = { START + now_ms / 1000, now_ms % 1000 * 1000 },
				 .caplen = (bpf_u_int32)writer_used(w),
				 .len = (bpf_u_int32)writer_used(w) };

	if (w->failed) {
		fprintf(stderr, "a frame was not written\n");
		exit(1);
	}
	pcap_dump((u_char *)out, &h, w->start);
}

/* A frame of IPv4 up to its payload. */
static struct vrrp_path begin(struct writer *w, uint8_t last, const uint8_t *group, uint8_t ttl,
			      uint8_t protocol, size_t payload)
{
	struct vrrp_path path = { .family = 4, .from = { 10, 0, 0, last } };
	struct eth e = { .type = ETH_TYPE_IPV4,
			 .to = { { 0x01, 0x00, 0x5e, 0, 0, group[3] } },
			 .from = { { 0x02, 0, 0, 0, 0, last } } };
	struct ipv4 ip = { .ttl = ttl, .protocol = protocol, .payload_len = (uint16_t)payload };

	memcpy(path.to, group, 4);
	memcpy(ip.from, path.from, 4);
	memcpy(ip.to, group, 4);
	eth_encode(w, &e);
	ipv4_encode(w, &ip);
	return path;
}

#define BEGIN                                                                                      \
	uint8_t buf[512];                                                                          \
	struct writer w = writer_of(buf, sizeof(buf))

static void vrrp(uint8_t last, struct vrrp v, uint8_t ttl)
{
	static const uint8_t group[] = VRRP_GROUP_IPV4, address[] = { 10, 0, 0, 1 };
	struct vrrp_path path;
	BEGIN;

	v.addresses = address;
	v.address_count = 1;
	path = begin(&w, last, group, ttl, IP_PROTOCOL_VRRP, vrrp_len(&v, 4));
	if (v.auth == VRRP_AUTH_MD5)
		vrrp_md5_sign(&v, &path, "s3cret");
	vrrp_encode(&w, &path, &v, NULL, 0);
	eth_pad(&w);
	put(&w);
}

static void hsrp(uint8_t last, struct hsrp h, const char *key)
{
	static const uint8_t group1[] = HSRP1_GROUP_IPV4, group2[] = HSRP2_GROUP_IPV4;
	BEGIN;

	memcpy(h.address, (uint8_t[]){ 10, 0, 0, 1 }, 4);
	memcpy(h.md5_from, (uint8_t[]){ 10, 0, 0, last }, 4);
	begin(&w, last, h.version == 1 ? group1 : group2, HSRP_TTL, PROTOCOL_UDP, 8 + hsrp_len(&h));
	write_u16(&w, HSRP_PORT);
	write_u16(&w, HSRP_PORT);
	write_u16(&w, 8 + hsrp_len(&h));
	write_u16(&w, 0); /* none: IPv4 may do without */
	hsrp_encode(&w, &h, key);
	eth_pad(&w);
	put(&w);
}

static void carp(uint8_t last)
{
	static const uint8_t group[] = VRRP_GROUP_IPV4, address[] = { 10, 0, 0, 1 };
	struct carp c = { .group = 9, .skew = 100, .base = 1, .counter = 77 };
	struct vrrp_path path;
	BEGIN;

	carp_sign(&c, "s3cret", 4, address, 1);
	path = begin(&w, last, group, VRRP_TTL, IP_PROTOCOL_VRRP, CARP_LEN);
	carp_encode(&w, &path, &c);
	eth_pad(&w);
	put(&w);
}

static void announce(void)
{
	static const uint8_t v4[] = { 10, 0, 0, 1 }, v6[16] = { 0xfe, 0x80, [15] = 1 };
	vmac_mac_t mac = { { 0, 0, 0x5e, 0, 1, 7 } };
	BEGIN;

	announce_arp(&w, ANNOUNCE_REQUEST, mac, v4);
	put(&w);
	w = writer_of(buf, sizeof(buf));
	announce_nd(&w, mac, v6, v6, true);
	put(&w);
	w = writer_of(buf, sizeof(buf));
	announce_rarp(&w, mac);
	put(&w);
}

static void other(void)
{
	struct arp a = { .operation = ARP_REQUEST,
			 .sender_mac = { { 2, 0, 0, 0, 0, 9 } },
			 .sender_ip = { 10, 0, 0, 9 },
			 .target_ip = { 10, 0, 0, 1 } };
	struct eth e = { .type = ETH_TYPE_ARP,
			 .from = a.sender_mac,
			 .to = { { 255, 255, 255, 255, 255, 255 } } };
	BEGIN;

	eth_encode(&w, &e);
	arp_encode(&w, &a);
	eth_pad(&w);
	put(&w);
}

int main(int argc, char **argv)
{
	struct vrrp v3 = { .version = 3, .group = 7, .priority = 100, .interval_cs = 100 };
	struct vrrp md5 = { .version = 2,
			    .group = 8,
			    .priority = 90,
			    .interval_cs = 100,
			    .auth = VRRP_AUTH_MD5,
			    .md5_key_id = 5 };
	struct hsrp h = { .version = 1,
			  .state = HSRP_STATE_ACTIVE,
			  .family = 4,
			  .group = 3,
			  .priority = 110,
			  .hello_ms = 3000,
			  .hold_ms = 10000,
			  .text = "cisco" };
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);

	out = argc == 2 ? pcap_dump_open(p, argv[1]) : NULL;
	if (!out)
		return 2;
	vrrp(2, v3, VRRP_TTL);
	now_ms = 1000;
	vrrp(2, v3, VRRP_TTL);
	v3.priority = 150;
	now_ms = 1200;
	vrrp(3, v3, VRRP_TTL);
	announce();
	now_ms = 2200;
	vrrp(3, v3, VRRP_TTL);
	v3.priority = 0;
	now_ms = 3000;
	vrrp(3, v3, VRRP_TTL);
	v3.priority = 100;
	vrrp(4, v3, 64);
	vrrp(2, md5, VRRP_TTL);
	hsrp(2, h, NULL);
	h.version = 2;
	h.auth = HSRP_AUTH_MD5;
	h.group = 300;
	hsrp(2, h, "s3cret");
	carp(2);
	other();
	pcap_dump_close(out);
	pcap_close(p);
	return 0;
}
