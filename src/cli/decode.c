/* vmac decode: a capture as the elections see it.  Works without a daemon. */
#include "cli/decode.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/call.h"
#include "cli/key_file.h"
#include "cli/nouns.h"
#include "model/ip.h"

#define EXIT_BAD 2

struct decoding {
	struct command *c;
	struct decode_keys keys;
	struct decode_summary *summary;
	unsigned int flags; /* of advert_decode() */
	bool all;
};

static void print_line(const json_t *o)
{
	TEXT_AUTO line = json_dumps(o, JSON_COMPACT);

	if (!line)
		call_no_memory();
	puts(line);
}

static void tell(const struct decoding *d, const struct decode_frame *f)
{
	if (d->c->quiet)
		return;
	if (d->c->json)
		print_line(f->told);
	else
		decode_print(f);
}

static void authenticate(const struct decoding *d, struct decode_frame *f)
{
	const char *why;
	enum verdict v;

	if (d->keys.count == 0 || f->verdict != VERDICT_ACCEPTED)
		return;
	/* HSRP's advertisement of an interface has no place for any. */
	if (f->advert.kind == ADVERT_HSRP && f->advert.hsrp.operation == HSRP_ADVERTISE)
		return;
	v = decode_authenticate(&d->keys, &f->advert, &why);
	if (v == VERDICT_ACCEPTED) {
		f->verified = "by a key";
		return;
	}
	f->verdict = v;
	f->why = why;
}

static void one(struct decoding *d, struct decode_frame *f)
{
	struct reader r = reader_of(f->data, f->len);

	f->verdict = advert_decode(&r, d->flags, &f->advert, &f->depth, &f->why);
	if (f->verdict == VERDICT_NOT_OURS) {
		decode_summary_skip(d->summary);
		if (!decode_announcement(f)) {
			if (!d->all)
				return;
			decode_describe(f);
		}
	} else {
		authenticate(d, f);
		decode_describe(f);
		decode_summary_add(d->summary, f);
	}
	tell(d, f);
	json_decref(f->told);
}

/* 0, or the exit status: what was read so far is told in any case. */
static int all(struct decoding *d, pcap_t *file, const char *path)
{
	unsigned long long count = 0;
	struct pcap_pkthdr *h;
	const u_char *data;
	char message[512];
	int r;

	while ((r = pcap_next_ex(file, &h, &data)) == 1) {
		struct decode_frame f = {
			.number = ++count,
			.at_us = (int64_t)h->ts.tv_sec * 1000000 + h->ts.tv_usec,
			.data = data,
			.len = h->caplen,
			.wire_len = h->len,
		};

		one(d, &f);
	}
	if (r == PCAP_ERROR_BREAK)
		return 0;
	snprintf(message, sizeof(message), "%.200s: after frame %llu: %s", path, count,
		 pcap_geterr(file));
	call_complain(message, "what was read before that is told");
	return EXIT_BAD;
}

static int link_refuse(pcap_t *file, const char *path)
{
	int link = pcap_datalink(file);
	const char *name = pcap_datalink_val_to_name(link);
	char message[512];

	snprintf(message, sizeof(message),
		 "%.200s: its frames are of link type %s (%d), not Ethernet", path,
		 name ? name : "unknown", link);
	call_complain(message, "capture on one link instead of \"any\": tcpdump -i eth0 -w FILE");
	return EXIT_BAD;
}

/* --- what to check with ---------------------------------------------------------------------- */

static int key_take(const struct command *c, void *ctx, const char *text)
{
	size_t digits = strspn(text, "0123456789");
	struct decode_keys *keys = ctx;
	struct decode_key *key = &keys->keys[keys->count];
	unsigned long long id;

	if (keys->count == DECODE_KEYS_MAX)
		return command_misuse(c, "more than %d keys", DECODE_KEYS_MAX);
	*key = (struct decode_key){ 0 };
	if (digits > 0 && text[digits] == ':') {
		errno = 0;
		id = strtoull(text, NULL, 10);
		if (errno || id > UINT32_MAX)
			return command_misuse(c, "a key's number is too great");
		key->has_id = true;
		key->id = (uint32_t)id;
		text += digits + 1;
	}
	if (!text[0] || strlen(text) > ROUTER_KEY_LEN_MAX)
		return command_misuse(c, "a key's secret has 1 to %d octets", ROUTER_KEY_LEN_MAX);
	snprintf(key->secret, sizeof(key->secret), "%s", text);
	keys->count++;
	return 0;
}

static int keys_parse(const struct command *c, struct decode_keys *keys)
{
	const struct values *v = command_values(c, "key");
	const struct values *files = command_values(c, "key-file");
	const struct values *addresses = command_values(c, "address");
	int r = 0;

	for (unsigned int i = 0; i < v->count && r == 0; i++)
		r = key_take(c, keys, v->text[i]);
	for (unsigned int i = 0; i < files->count && r == 0; i++)
		if (strcmp(files->text[i], "-") == 0 && strcmp(c->args[0], "-") == 0)
			r = command_misuse(c, "standard input is the capture, or keys, not both");
		else
			r = key_file_read(c, files->text[i], key_take, keys);
	if (r == 0 && addresses->count > DECODE_ADDRESSES_MAX)
		r = command_misuse(c, "--address: at most %d times", DECODE_ADDRESSES_MAX);
	for (unsigned int i = 0; i < addresses->count && r == 0; i++)
		if (ip_parse(addresses->text[i], &keys->addresses[keys->address_count++]) < 0)
			r = command_misuse(c, "--address: \"%s\" is no IP address",
					   addresses->text[i]);
	if (r == 0 && addresses->count > 0 && keys->count == 0)
		r = command_misuse(c, "--address goes with --key or --key-file");
	return r;
}

static int run(struct command *c)
{
	struct decoding d = { .c = c,
			      .all = command_values(c, "all")->count > 0,
			      .flags = command_values(c, "offloaded")->count > 0
					       ? ADVERT_CHECKSUM_PENDING
					       : 0 };
	char why[PCAP_ERRBUF_SIZE];
	JSON_AUTO summary = NULL;
	pcap_t *file;
	int r = keys_parse(c, &d.keys);

	if (r != 0)
		return r;
	file = pcap_open_offline(c->args[0], why);
	if (!file) {
		/* libpcap names the file where it could not open it, and not where it is none. */
		bool named = strncmp(why, c->args[0], strlen(c->args[0])) == 0;
		char message[PCAP_ERRBUF_SIZE + 256];

		snprintf(message, sizeof(message), "%.200s%s%s", named ? "" : c->args[0],
			 named ? "" : ": ", why);
		call_complain(message, "pcap and pcapng files are read, and - is standard input");
		return EXIT_BAD;
	}
	if (pcap_datalink(file) != DLT_EN10MB) {
		r = link_refuse(file, c->args[0]);
		pcap_close(file);
		return r;
	}
	d.summary = decode_summary_new();
	r = all(&d, file, c->args[0]);
	pcap_close(file);
	summary = decode_summary_json(d.summary);
	decode_summary_free(d.summary);
	if (c->json && !c->quiet) {
		JSON_AUTO line = json_object();

		json_object_set(line, "summary", summary);
		print_line(line);
	} else if (!c->quiet) {
		decode_summary_print(summary);
	}
	return r;
}

/* clang-format off */
static const struct option options[] = {
	{ "key", "[ID:]SECRET", OPTION_LIST, "check authentication; frames without are then refused" },
	{ "key-file", "FILE", OPTION_LIST, "the same, [ID:]SECRET a line, unseen by others; - = stdin" },
	{ "address", "IP", OPTION_LIST, "CARP: a virtual address, which its authentication covers" },
	{ "offloaded", NULL, OPTION_FLAG, "captured on the sender: its NIC computes UDP's checksum" },
	{ "all", NULL, OPTION_FLAG, "list the frames of no election protocol, too" },
};

static const struct verb verbs[] = {
	{ .name = "", .args = "FILE|-", .args_min = 1, .args_max = 1, .run = run, OPTIONS(options),
	  .summary = "Explain every frame of VRRP, HSRP, CARP and GLBP in a capture, and the verdict",
	  .more = "Needs no daemon.  Frames are judged as vmacd judges them, and told with the reason; at\n"
		  "the end stands, per group, who spoke, who was active when, and what looks wrong.  With\n"
		  "--json one object a line is printed, the last one with the summary.",
	  .examples = "  vmac decode capture.pcap\n"
		      "  vmac decode --key-file keys capture.pcap\n" },
};
/* clang-format on */

const struct noun noun_decode = { "decode", "what a capture says of elections (offline)", verbs,
				  ARRAY_LEN(verbs) };
