/* The filter of a link's packet socket, in the kernel's classic language.
 *
 * It looks at what the kernel knows besides the octets: a frame whose VLAN tag was taken off
 * belongs to a VLAN device on top of this link (tag 0 is a priority only), and one that is
 * addressed to another station's MAC is seen only because somebody made the link promiscuous. */
#include "host/packet_filter.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "host/packet.h"

#define FILTER_MAX 40
#define PORT_HSRP  1985
#define PORT_HSRP6 2029

/* Jumps to these are resolved when the program is whole. */
#define PASS 254
#define DROP 255

struct filter {
	struct sock_filter op[FILTER_MAX];
	unsigned int count;
};

static void add(struct filter *f, uint16_t code, uint32_t k)
{
	assert(f->count < FILTER_MAX);
	f->op[f->count++] = (struct sock_filter)BPF_STMT(code, k);
}

static void add_jump(struct filter *f, uint16_t test, uint32_t k, uint8_t yes, uint8_t no)
{
	assert(f->count < FILTER_MAX);
	f->op[f->count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, k, yes, no);
}

static uint8_t resolve(const struct filter *f, unsigned int from, uint8_t jump)
{
	const unsigned int pass = f->count - 2;

	if (jump == PASS)
		return (uint8_t)(pass - from - 1);
	if (jump == DROP)
		return (uint8_t)(pass - from);
	return jump;
}

static void add_end(struct filter *f)
{
	add(f, BPF_RET | BPF_K, UINT32_MAX);
	add(f, BPF_RET | BPF_K, 0);
	for (unsigned int i = 0; i < f->count; i++)
		if (BPF_CLASS(f->op[i].code) == BPF_JMP) {
			f->op[i].jt = resolve(f, i, f->op[i].jt);
			f->op[i].jf = resolve(f, i, f->op[i].jf);
		}
}

/* Offsets are those of an untagged frame: the kernel has taken off the outer tag. */
static void add_ipv4(struct filter *f, unsigned int wanted)
{
	const bool udp = wanted & (PACKET_HSRP1 | PACKET_HSRP2);

	add(f, BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 9);
	if (wanted & PACKET_VRRP4)
		add_jump(f, BPF_JEQ, PROTOCOL_VRRP, PASS, 0);
	if (udp) {
		add_jump(f, BPF_JEQ, IPPROTO_UDP, 0, DROP);
		add(f, BPF_LD | BPF_H | BPF_ABS, ETH_HLEN + 6);
		add_jump(f, BPF_JSET, 0x1fff, DROP, 0); /* a later fragment has no ports */
		add(f, BPF_LDX | BPF_B | BPF_MSH, ETH_HLEN);
		add(f, BPF_LD | BPF_H | BPF_IND, ETH_HLEN + 2);
		add_jump(f, BPF_JEQ, PORT_HSRP, PASS, DROP);
	} else {
		add(f, BPF_RET | BPF_K, 0);
	}
}

static void add_ipv6(struct filter *f, unsigned int wanted)
{
	add(f, BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 6);
	if (wanted & PACKET_VRRP6)
		add_jump(f, BPF_JEQ, PROTOCOL_VRRP, PASS, 0);
	if (wanted & PACKET_HSRP6) {
		add_jump(f, BPF_JEQ, IPPROTO_UDP, 0, DROP);
		add(f, BPF_LD | BPF_H | BPF_ABS, ETH_HLEN + 40 + 2);
		add_jump(f, BPF_JEQ, PORT_HSRP6, PASS, DROP);
	} else {
		add(f, BPF_RET | BPF_K, 0);
	}
}

static void filter_make(struct filter *f, unsigned int wanted)
{
	struct filter four = { .count = 0 };

	f->count = 0;
	add(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
	add_jump(f, BPF_JEQ, PACKET_OTHERHOST, DROP, 0);
	add(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT));
	add_jump(f, BPF_JEQ, 0, 2, 0);
	add(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG));
	add_jump(f, BPF_JSET, 0x0fff, DROP, 0);
	add(f, BPF_LD | BPF_H | BPF_ABS, 2 * ETH_ALEN);
	add_ipv4(&four, wanted);
	add_jump(f, BPF_JEQ, ETH_P_IP, 0, (uint8_t)four.count);
	add_ipv4(f, wanted);
	add_jump(f, BPF_JEQ, ETH_P_IPV6, 0, DROP);
	add_ipv6(f, wanted);
	add_end(f);
}

int packet_filter_attach(int fd, unsigned int wanted)
{
	struct sock_fprog program;
	struct filter f;

	filter_make(&f, wanted);
	program = (struct sock_fprog){ .len = (uint16_t)f.count, .filter = f.op };
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}
