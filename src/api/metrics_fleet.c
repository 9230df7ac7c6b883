/* Many hosts for Prometheus. */
#include "api/metrics.h"

#include "base/cleanup.h"

static void strangers_sample(void *ctx, const struct move_view *v)
{
	char text[VMAC_MAC_TEXT_MAX];
	struct out *o = ctx;

	if (v->strangers == 0)
		return;
	out_puts(o, "vmac_strangers_total{");
	metric_label(o, "segment", v->segment);
	out_puts(o, ",");
	metric_label(o, "address", vmac_mac_format(v->address, VMAC_MAC_COLON, text));
	out_printf(o, "} %llu\n", (unsigned long long)v->strangers);
}

static void wire_samples(void *ctx, const struct move_view *v)
{
	char text[VMAC_MAC_TEXT_MAX];
	struct out *o = ctx;

	for (unsigned int i = 0; v->wire.frames && i < WIRE_USES; i++) {
		out_puts(o, "vmac_wire_looked_total{");
		metric_label(o, "segment", v->segment);
		out_puts(o, ",");
		metric_label(o, "address", vmac_mac_format(v->address, VMAC_MAC_COLON, text));
		out_puts(o, ",");
		metric_label(o, "as", v->wire.uses[i].name);
		out_printf(o, "} %llu\n", (unsigned long long)v->wire.uses[i].looked);
	}
}

static void frames(struct out *o, const struct fleet_status *s)
{
	metric_single(o, "announcements_sent_total", "counter",
		      "Frames that announced a vMAC which moved here", (double)s->announced);
	metric_single(o, "queries_sent_total", "counter",
		      "IGMP and MLD queries to guests that moved here", (double)s->queried);
	metric_single(o, "announcements_failed_total", "counter",
		      "Announcements and queries that the kernel refused", (double)s->send_failed);
	metric(o, "claims_heard_total", "counter",
	       "Frames on uplinks with a vMAC of this host as their source, by their tag");
	out_printf(o, "vmac_claims_heard_total{tag=\"valid\"} %llu\n",
		   (unsigned long long)s->claims_valid);
	out_printf(o, "vmac_claims_heard_total{tag=\"none\"} %llu\n",
		   (unsigned long long)s->claims_untagged);
	out_printf(o, "vmac_claims_heard_total{tag=\"forged\"} %llu\n",
		   (unsigned long long)s->claims_forged);
}

void metrics_fleet(struct engine *engine, const struct fleet_status *s, struct out *o)
{
	const struct {
		const char *name, *type, *help;
		double value;
	} numbers[] = {
		{ "shared_reachable", "gauge", "1 while the shared registry answers",
		  s->reachable },
		{ "shared_since_seconds", "gauge", "How long that has been so",
		  (double)s->since_ms / 1000 },
		{ "hosts", "gauge", "Hosts that share the registry", (double)s->hosts },
		{ "hosts_alive", "gauge", "Those whose heartbeat is there", (double)s->alive },
		{ "blocks", "gauge", "Blocks that are claimed, by all hosts", (double)s->blocks },
		{ "blocks_ours", "gauge", "Blocks of this host", (double)s->blocks_ours },
		{ "blocks_available", "gauge", "Addresses that can be had with nobody in reach",
		  (double)s->available },
		{ "moves", "gauge", "vMACs that are on their way", (double)s->moves },
		{ "alarms_total", "counter", "Alarms about vMACs, hosts and the shared registry",
		  (double)s->alarms },
		{ "images_behind", "gauge", "Images of blocks that are yet to be written",
		  (double)s->images_behind },
		{ "claims_lost_total", "counter", "Changes that another host made first",
		  (double)s->claims_lost },
		{ "shared_transactions_total", "counter", "Transactions on the shared registry",
		  (double)s->txns },
		{ "shared_unreachable_total", "counter", "Those that nobody answered",
		  (double)s->unreachable },
		{ "shared_refused_total", "counter", "Those that it refused for good",
		  (double)s->refused },
		{ "shared_reconnects_total", "counter", "Watches that were begun anew",
		  (double)s->reconnects },
		{ "shared_reconciles_total", "counter", "Full reads", (double)s->reconciles },
		{ "shared_transaction_seconds_last", "gauge", "How long the last one took",
		  (double)s->txn_ns_last / 1e9 },
		{ "shared_transaction_seconds_most", "gauge", "How long the slowest took",
		  (double)s->txn_ns_most / 1e9 },
	};

	if (!s->shared)
		return;
	for (unsigned int i = 0; i < ARRAY_LEN(numbers); i++)
		metric_single(o, numbers[i].name, numbers[i].type, numbers[i].help,
			      numbers[i].value);
	frames(o, s);
	metric(o, "strangers_total", "counter",
	       "Untagged frames on an uplink with this vMAC as their source");
	engine_moves(engine, strangers_sample, o);
	metric(o, "wire_looked_total", "counter",
	       "Frames on an uplink with this vMAC as their source that were looked at, by what "
	       "they "
	       "are");
	engine_moves(engine, wire_samples, o);
}
