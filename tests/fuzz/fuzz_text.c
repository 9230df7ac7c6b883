/* What may be a name, a note, an interface, an IP address. */
#include "fuzz.h"
#include "model/ip.h"
#include "model/text.h"

static void check_ip(const char *text)
{
	struct ip ip, again;
	char buf[IP_TEXT_MAX];

	if (ip_parse(text, &ip) < 0)
		return;
	MUST(ip.family == 4 || ip.family == 6);
	MUST(ip_parse(ip_format(&ip, buf), &again) == 0);
	MUST(ip_equal(&ip, &again));
}

static void check_printable(const struct error *e)
{
	MUST(e->message[0]);
	for (const char *c = e->message; *c; c++)
		MUST(*c >= 0x20 && *c < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	size_t len = strlen(text);
	struct error e = { 0 };
	bool note_ok, name_ok, ifname_ok;
	vmac_mac_t m;

	note_ok = text_check("note", text, NOTE_MAX_LEN, &e) == 0;
	if (!note_ok)
		check_printable(&e);
	name_ok = name_check("name", text, &e) == 0;
	if (!name_ok)
		check_printable(&e);
	ifname_ok = ifname_check("ifname", text, &e) == 0;
	if (note_ok) {
		MUST(len <= NOTE_MAX_LEN);
		for (size_t i = 0; i < len; i++)
			MUST((uint8_t)text[i] >= 0x20 && text[i] != 0x7f);
	}
	/* Names and interface names are texts too; a name is never an address. */
	if (name_ok)
		MUST(note_ok && len > 0 && vmac_mac_parse(text, &m, NULL) < 0);
	if (ifname_ok)
		MUST(note_ok && len > 0 && len <= IFNAME_MAX_LEN && !strpbrk(text, "/:% "));
	check_ip(text);
	free(text);
	return 0;
}
