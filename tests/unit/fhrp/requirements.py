"""What the standards demand, where the code does it, and which test shows it.

Each requirement: id, section, what is demanded (in our words), places, tests, note.  A place is
"FILE:NAME"; a test is "FILE:NAME".  Whatever has no test has a note that says why.
test_ledger.py holds every name against the files; docs/protocols/generate makes pages of this.
"""

from typing import NamedTuple


class Requirement(NamedTuple):
    id: str
    section: str
    text: str
    places: tuple
    tests: tuple
    note: str = ""


VRRP = "src/fhrp/vrrp.c"
FHRP = "src/fhrp/fhrp.c"
ACT = "src/fhrp/act.c"
HSRP = "src/fhrp/hsrp.c"
WIRE = "src/wire/vrrp.c"
COMPOSE = "src/elect/compose.c"
ADMIT = "src/elect/admit.c"
CHECK = "src/model/router_check_set.c"
VIRTUAL = "src/host/virtual.c"
LEASE_IN = "bpf/lease.h:vmac_router_in"
LEASE_OUT = "bpf/lease.h:vmac_router_out"
REFUSES = "bpf/lease.h:lease_refuses"

T = "tests/unit/fhrp/test_vrrp.c:"
TH = "tests/unit/fhrp/test_hsrp.c:"
TO = "tests/unit/fhrp/test_hsrp_beside.c:"
TC = "tests/unit/fhrp/test_common.c:"
TL = "tests/unit/fhrp/test_lease.c:"
TW = "tests/unit/wire/test_vrrp.c:"
TA = "tests/unit/wire/test_advert.c:"
TE = "tests/unit/elect/test_core.c:"
TR = "tests/unit/elect/test_routers.c:"
TF = "tests/unit/elect/test_compose.c:"
TB = "tests/bpf/test_router.c:"
TV = "tests/unit/host/test_virtual.c:"

KERNEL = "The kernel does it, for addresses and links that we make only in the states that allow it."
VERDICTS = TW + "each_verdict_has_its_message"


def r(number, section, text, places=(), tests=(), note=""):
    as_tuple = lambda x: (x,) if isinstance(x, str) else tuple(x)
    return Requirement("R" + number, section, text, as_tuple(places), as_tuple(tests), note)


RFC9568 = [
    # 5: the packet
    r("5.1.1-1", "5.1.1.2", "Nobody forwards a packet to 224.0.0.18, whatever its TTL.", (), (),
      "The kernel forwards no link-local multicast, and no multicast at all without a routing "
      "daemon for it."),
    r("5.1.1-2", "5.1.1.3", "The TTL sent is 255.", COMPOSE + ":write_headers",
      TF + "test_vrrp3_ipv4"),
    r("5.1.1-3", "5.1.1.3", "A packet whose TTL is not 255 is discarded.", WIRE + ":check_head",
      (TW + "the_ttl_is_255_except_from_peers", TA + "each_verdict_has_its_frame"),
      "Not checked for unicast peers, which RFC 9568 does not know."),
    r("5.1.2-1", "5.1.2.2", "Nobody forwards a packet to ff02::12.", (), (),
      "The kernel forwards no packet of link-local scope."),
    r("5.1.2-2", "5.1.2.3", "The hop limit sent is 255.", COMPOSE + ":write_headers",
      TF + "test_vrrp3_ipv6"),
    r("5.1.2-3", "5.1.2.3", "A packet whose hop limit is not 255 is discarded.",
      WIRE + ":check_head", TW + "the_ttl_is_255_except_from_peers"),
    r("5.2.2-1", "5.2.2", "A packet of unknown type is discarded.", WIRE + ":check_head", VERDICTS),
    r("5.2.4-1", "5.2.4", "The owner's priority is 255.", FHRP + ":adjusted",
      (T + "the_owner_is_255_and_tracking_does_not_change_that",
       T + "row_initialize_started_owner")),
    r("5.2.4-2", "5.2.4", "A backup's priority is 1 to 254.", FHRP + ":priority_within",
      T + "a_backup_is_1_to_254"),
    r("5.2.5-1", "5.2.5", "An advertisement without addresses is ignored (erratum 8299).",
      WIRE + ":check_values", VERDICTS),
    r("5.2.6-1", "5.2.6", "The reserved field is sent as zero and ignored when received.",
      WIRE + ":write_base", TW + "what_is_written_is_read"),
    r("5.2.9-1", "5.2.9", "The first IPv6 address is link-local (erratum 8300).",
      (WIRE + ":check_values", CHECK + ":check_addresses"), VERDICTS),
    r("5.2.9-2", "5.2.9", "The addresses are of the family of the IP header.",
      CHECK + ":check_ip", TW + "what_is_written_is_read",
      "The message does not say its family: its addresses are read as the header's."),

    # 6.1
    r("6.1-1", "6.1", "The owner preempts whatever Preempt_Mode says.", VRRP + ":heard_backup",
      T + "the_owner_preempts_always"),
    r("6.1-2", "6.1", "Neighbour solicitations and advertisements are not dropped where "
      "Accept_Mode is false.", REFUSES, TB + "addresses_are_not_accepted_where_told"),
    r("6.1-3", "6.1", "Skew_Time is (256 - priority) / 256 of the active router's interval, "
      "Active_Down_Interval three intervals and the skew.", (VRRP + ":skew", VRRP + ":hold"),
      (T + "row_initialize_started", T + "row_backup_heard_better")),

    # 6.4.1
    r("6.4.1-1", "6.4.1", "Startup as the owner: advertise, announce all addresses, start the "
      "advertisement timer, become active.", VRRP + ":VRRP_TABLE",
      T + "row_initialize_started_owner"),
    r("6.4.1-2", "6.4.1", "Startup otherwise: take the configured interval, start the "
      "active-down timer, become backup.", VRRP + ":VRRP_TABLE", T + "row_initialize_started"),

    # 6.4.2
    r("6.4.2-1", "6.4.2", "A backup does not answer ARP for the addresses.", LEASE_OUT,
      (TB + "outside_of_the_lease_nothing_passes", TB + "the_kernels_own_frames_are_stopped"),
      "It does not have the addresses either: they are added with `embody` only."),
    r("6.4.2-2", "6.4.2", "A backup does not answer neighbour solicitations for the addresses.",
      LEASE_OUT, (TB + "outside_of_the_lease_nothing_passes",
              TB + "the_kernels_own_frames_are_stopped")),
    r("6.4.2-3", "6.4.2", "A backup sends no router advertisement for the virtual router.",
      LEASE_OUT, TB + "outside_of_the_lease_nothing_passes"),
    r("6.4.2-4", "6.4.2", "A backup discards what is sent to the vMAC.", LEASE_IN,
      TB + "outside_of_the_lease_nothing_passes"),
    r("6.4.2-5", "6.4.2", "A backup does not accept packets to the addresses.", ACT + ":release",
      (T + "row_active_heard_better", TB + "outside_of_the_lease_nothing_passes")),
    r("6.4.2-6", "6.4.2", "Backup, shutdown: stop the timer, go to Initialize.",
      VRRP + ":VRRP_TABLE", (T + "row_backup_stopped", T + "row_backup_failed",
                             T + "row_backup_cut")),
    r("6.4.2-7", "6.4.2", "Backup, the active-down timer fires: advertise, announce, become "
      "active.", VRRP + ":VRRP_TABLE",
      (T + "row_backup_active_silent", T + "row_backup_active_lesser")),
    r("6.4.2-8", "6.4.2", "Backup, join the solicited-node groups of the addresses when becoming "
      "active.", (), (), KERNEL),
    r("6.4.2-9", "6.4.2", "Backup hears priority 0: the active-down timer is set to Skew_Time.",
      VRRP + ":VRRP_TABLE", (T + "row_backup_heard_zero", T + "row_backup_active_left")),
    r("6.4.2-10", "6.4.2", "Backup hears a priority not below its own, or does not preempt: "
      "learn the interval, compute the skew and the active-down interval anew, restart.",
      VRRP + ":heard_backup", (T + "row_backup_heard_better", T + "row_backup_heard_kept")),
    r("6.4.2-11", "6.4.2", "Backup that preempts hears a lower priority: discard.",
      VRRP + ":heard_backup", T + "row_backup_heard_lesser"),

    # 6.4.3
    r("6.4.3-1", "6.4.3", "The active router answers ARP for the addresses.",
      VIRTUAL + ":ipv4_wishes", (), KERNEL),
    r("6.4.3-2", "6.4.3", "… is a member of the solicited-node groups of its IPv6 addresses.",
      (), (), KERNEL),
    r("6.4.3-3", "6.4.3", "… answers neighbour solicitations with the Router flag set.",
      VIRTUAL + ":ipv6_names", (), KERNEL + " The flag follows `forwarding` of the device."),
    r("6.4.3-4", "6.4.3", "… sends router advertisements for the virtual router.", (), (),
      "Not done: that is a router advertisement daemon's, which is to run on the device that "
      "carries the vMAC.  Outside of the lease the data plane stops it."),
    r("6.4.3-5", "6.4.3", "… does not drop neighbour discovery where Accept_Mode is false.",
      REFUSES, TB + "addresses_are_not_accepted_where_told"),
    r("6.4.3-6", "6.4.3", "… forwards what is sent to the vMAC.", LEASE_IN,
      TB + "a_lease_ends_at_its_deadline", "The forwarding itself is the kernel's."),
    r("6.4.3-7", "6.4.3", "… accepts packets to the addresses if it owns them or Accept_Mode is "
      "true, and not otherwise.", REFUSES, TB + "addresses_are_not_accepted_where_told"),
    r("6.4.3-8", "6.4.3", "Active, shutdown: send priority 0, go to Initialize.",
      ACT + ":resign", (T + "row_active_stopped", T + "row_active_stopped_at_once",
                        T + "row_active_failed", T + "row_leaving_heard_successor",
                        T + "row_leaving_linger_over"),
      "A graceful stop forwards on until the successor is heard, for a bounded time: the gap "
      "that the standard leaves is filled.  `linger: 0` is the standard to the letter."),
    r("6.4.3-9", "6.4.3", "Active, the advertisement timer fires: advertise, restart it.",
      VRRP + ":VRRP_TABLE", T + "row_active_advertise_due"),
    r("6.4.3-10", "6.4.3", "Active hears priority 0: advertise, restart the timer.",
      VRRP + ":VRRP_TABLE", T + "row_active_heard_zero"),
    r("6.4.3-11", "6.4.3", "Active hears a higher priority, or the same from a higher address "
      "(unsigned, network order): learn the interval, become backup.", VRRP + ":heard_active",
      (T + "row_active_heard_better", T + "row_active_heard_tie")),
    r("6.4.3-12", "6.4.3", "Active hears anything less: discard it, advertise at once.",
      VRRP + ":heard_active", T + "row_active_heard_lesser"),
    r("8298", "erratum 8298", "Of two routers with priority 255 the one with the lower address "
      "behaves as 254 while the other is heard.", ACT + ":yield",
      (T + "row_active_heard_owner", T + "row_backup_heard_owner", T + "row_backup_owner_free",
       T + "row_active_owner_free"),
      "Reported, not verified.  Section 7.1 would have an owner discard all advertisements."),

    # 7
    r("7.1-1", "7.1", "The TTL or hop limit is 255.", WIRE + ":check_head",
      TW + "the_ttl_is_255_except_from_peers"),
    r("7.1-2", "7.1", "The version is 3.", WIRE + ":check_head", VERDICTS,
      "Or 2 where the router is configured for it (section 8.4)."),
    r("7.1-3", "7.1", "The type is 1.", WIRE + ":check_head", VERDICTS),
    r("7.1-4", "7.1", "The packet is complete.", WIRE + ":measure",
      TW + "truncated_at_every_length"),
    r("7.1-5", "7.1", "The checksum is right.", WIRE + ":checksum_right",
      (TW + "every_flipped_bit_is_seen", TW + "both_checksums_over_ipv4"),
      "Over IPv4 with or without the pseudo-header, unless one is pinned."),
    r("7.1-6", "7.1", "The VRID is configured on that link.", "src/elect/core.c:elect_core_frame",
      TR + "test_frames_of_no_router_are_counted_by_link"),
    r("7.1-7", "7.1", "The receiver does not own the addresses.", VRRP + ":heard",
      T + "row_active_heard_owner",
      "Erratum 8298 instead: an owner listens, to find another one."),
    r("7.1-8", "7.1", "What fails one of these is discarded.", ADMIT + ":admit",
      TA + "each_verdict_has_its_frame", "And counted by reason."),
    r("7.2-1", "7.2", "The fields are the virtual router's state, with the checksum.",
      COMPOSE + ":vrrp_of", TW + "what_is_written_is_read"),
    r("7.2-2", "7.2", "The source MAC is the vMAC.", (COMPOSE + ":write_headers", ACT + ":advertise"),
      (T + "row_backup_active_silent", TF + "test_vrrp3_ipv4"),
      "Not for unicast peers: the kernel routes those."),
    r("7.2-3", "7.2", "The source is the link's primary IPv4 or its link-local IPv6 address.",
      "src/elect/routers.c:set_resolve_source", TR + "test_a_new_source_is_taken_over"),
    r("7.2-4", "7.2", "Protocol 112, to the VRRP group.", COMPOSE + ":group_of",
      (TF + "test_vrrp3_ipv4", TF + "test_vrrp3_ipv6")),
    r("7.4-1", "7.4", "No interface identifier is derived from the vMAC.",
      VIRTUAL + ":build_configure", TV + "makes_one_that_is_up_and_silent"),

    # 8
    r("8.1.2-1", "8.1.2", "The active router answers ARP with the vMAC, never with the physical "
      "MAC.", VIRTUAL + ":ipv4_wishes", (), KERNEL + " `arp_ignore`, `arp_announce` and "
      "`arp_filter` keep the parent from speaking for the addresses."),
    r("8.1.2-2", "8.1.2", "At boot no gratuitous ARP goes out before address and vMAC are both "
      "configured.", VRRP + ":VRRP_TABLE",
      (T + "row_initialize_started_owner", T + "row_backup_active_silent",
       TR + "test_waits_for_links_and_devices"),
      "`embody` stands before `announce` in every row."),
    r("8.1.3-1", "8.1.3", "Proxy ARP answers with the vMAC.", (), (),
      "Not done: we configure no proxy ARP."),
    r("8.2.2-1", "8.2.2", "The active router answers neighbour solicitations with the vMAC, "
      "never with the physical MAC.", VIRTUAL + ":build_configure", (), KERNEL),
    r("8.2.2-2", "8.2.2", "A neighbour solicitation from a virtual address carries the vMAC as "
      "its source link-layer address.", VIRTUAL + ":build_configure", (), KERNEL),
    r("8.2.2-3", "8.2.2", "At boot no ND message goes out before address and vMAC are both "
      "configured.", LEASE_OUT, TB + "the_kernels_own_frames_are_stopped"),
    r("8.2.3-1", "8.2.3", "Backups are configured to send the owner's router advertisement "
      "options.", (), (), "Not done: see 6.4.3."),
    r("8.4.2-1", "8.4.2", "Where both versions are spoken, the active router sends both at the "
      "configured rate.", COMPOSE + ":copies_v2", TF + "test_copies_in_vrrp2"),
    r("8.4.2-2", "8.4.2", "… and a backup times out by the rate of the active router.",
      VRRP + ":hold", T + "an_interval_is_learned_and_given_up_when_active"),
    r("8.4.2-3", "8.4.2", "… also where that is given in seconds, in version 2.", VRRP + ":hold",
      T + "a_backup_times_out_by_the_seconds_of_version_2"),
    r("8.4.2-4", "8.4.2 (SHOULD)", "A backup ignores version 2 of a router that it hears "
      "version 3 from.", VRRP + ":is_old_twin",
      T + "the_old_version_of_a_router_that_speaks_both_is_ignored"),
    r("3768-1", "RFC 3768 6.1", "VRRPv2's skew is (256 - priority) / 256 of a second.",
      VRRP + ":skew", T + "version_2_skews_by_a_second"),
]

# RFC 2281 section 5.7 as printed: event -> column -> actions and next state.  1 Initial 2 Learn
# 3 Listen 4 Speak 5 Standby 6 Active.
RFC2281_TABLE = {
    "a": {1: "AB/2|3"},
    "b": {2: "CD/1", 3: "CD/1", 4: "CD/1", 5: "CD/1", 6: "CDH/1"},
    "c": {3: "AB/4", 5: "CDFI/6"},
    "d": {3: "B/4", 4: "D/5"},
    "e": {4: "F", 5: "F", 6: "F"},
    "f": {4: "B/3", 5: "B/3"},
    "g": {2: "EAB/3", 3: "EA", 4: "EA", 5: "EA", 6: "AB/4"},
    "h": {2: "EAB/3", 3: "A|BGFI/6", 4: "A|BGFI/6", 5: "A|BGFI/6", 6: "G"},
    "i": {3: "AB/4", 4: "A", 5: "CFI/6"},
    "j": {6: "ABH/4"},
    "k": {3: "B", 4: "B/3", 5: "B/3", 6: "B"},
    "l": {3: "B/4", 4: "D/5", 6: "B"},
}
RFC2281_STATES = {1: "initialize", 2: "learn", 3: "listen", 4: "speak", 5: "standby", 6: "active"}
_NAMES = {1: "initial", **{n: s for n, s in RFC2281_STATES.items() if n > 1}}


def field(event, column):
    notes = {
        "b6": "A graceful stop is Leaving before Initial; a link that is gone can carry no Resign.",
        "c5": "Also when the active timer expired in Speak, for which there is no row.",
    }
    return Requirement(
        f"2281-{event}{column}", "RFC 2281 5.7",
        f"Event {event} in {_NAMES[column].capitalize()}: {RFC2281_TABLE[event][column]}",
        (HSRP + ":HSRP_TABLE",), (f"{TH}rfc2281_{event}_{_NAMES[column]}",),
        notes.get(f"{event}{column}", ""))


RFC2281 = [field(e, c) for e, columns in RFC2281_TABLE.items() for c in columns] + [
    r("2281-0", "RFC 2281 5.7", "Empty fields: nothing is done.", FHRP + ":machine_fire",
      TH + "rfc2281_empty_fields_do_nothing"),
    r("2281-1", "RFC 2281 5.1", "The hello and hold times in use are what a hello says; the hold "
      "time exceeds the hello time.", FHRP + ":machine_hold",
      TO + "learned_timers_are_sent_and_the_hold_time_exceeds_the_hello_time"),
    r("2281-2", "RFC 2281 5.1", "An active router learns no times.", HSRP + ":HSRP_TABLE",
      TO + "the_active_router_learns_no_timers"),
    r("2281-3", "RFC 2281 5.1", "One configured and one learned time are never mixed.",
      ACT + ":parameters_learn", (TO + "timers_are_learned_both_or_none",
                                  TO + "timers_that_are_configured_are_not_learned")),
    r("2281-4", "RFC 2281 5.3", "Nobody reaches Speak without knowing the virtual address.",
      HSRP + ":heard_active", (TO + "row_learn_g_untold", TO + "row_learn_h_untold")),
    r("2281-5", "RFC 2281 5.4", "The hello timer is jittered.", HSRP + ":period",
      TO + "the_hello_timer_is_jittered_downwards"),
    r("2281-6", "RFC 2281 6.1", "Hellos come from the vMAC in Active, and only then.",
      ACT + ":advertise", (TH + "rfc2281_e_active", TH + "rfc2281_e_standby",
                           TH + "rfc2281_e_speak")),
    r("2281-7", "RFC 2281 6.1", "A router that leaves Active stops to forward for the vMAC.",
      ACT + ":release", (TH + "rfc2281_g_active", TH + "rfc2281_j_active")),
    r("2281-8", "RFC 2281 6.3", "No ICMP redirects on that link.", (), (),
      "Not done: `send_redirects` of the link is the operator's."),
]

OURS = [
    r("lease-1", "ours", "The lease ends before the keenest backup takes over.", VRRP + ":term",
      TL + "it_ends_before_the_keenest_backup_takes_over"),
    r("lease-2", "ours", "Nobody sends from the vMAC outside of the lease.", FHRP + ":fhrp_step",
      (TL + "a_late_router_is_no_router_whatever_comes_first",
       TL + "a_late_advertiser_falls_silent_and_listens_a_full_hold")),
    r("delay-1", "ours", "A living lesser router is spared for the preemption delay; silence is "
      "not.", "src/fhrp/fhrp.c:machine_may_preempt",
      (TC + "a_living_lesser_active_is_spared_for_the_preemption_delay",
       TC + "silence_does_not_wait_for_the_preemption_delay")),
    r("delay-2", "ours", "Nobody is active before the boot hold is over.", ACT + ":after_hold",
      (TC + "nobody_is_active_before_the_boot_hold_is_over",
       TC + "the_owner_waits_for_the_boot_hold_too")),
    r("contention-1", "ours", "The survivor of a contention announces again, once.",
      ACT + ":contend", TC + "the_survivor_of_a_contention_announces_once_when_it_is_over"),
    r("sets-1", "ours", "Silence means that all sets are silent.", FHRP + ":fhrp_step",
      TC + "one_side_heard_is_enough"),
    r("sets-2", "ours", "A tie is decided by one set for all.", FHRP + ":machine_higher_address",
      T + "a_tie_is_decided_the_same_way_on_all_sets"),
    r("config-1", "ours", "An equal configuration changes nothing.", FHRP + ":configured",
      TC + "an_equal_configuration_changes_nothing"),
]
