// The table itself: data. What a verdict rests on is said in `why`.
#include "host/flags.h"

namespace quorate::host {
namespace {

constexpr auto kText = FlagType::kText;
constexpr auto kBool = FlagType::kBool;
constexpr auto kUnsigned = FlagType::kUnsigned;
constexpr auto kUnsigned32 = FlagType::kUnsigned32;
constexpr auto kSigned = FlagType::kSigned;
constexpr auto kDuration = FlagType::kDuration;
constexpr auto kUrls = FlagType::kUrls;
constexpr auto kList = FlagType::kList;
constexpr auto kIgnored = FlagType::kIgnored;
constexpr auto kHonoured = Verdict::kHonoured;
constexpr auto kNoEffect = Verdict::kNoEffect;
constexpr auto kRefused = Verdict::kRefused;

constexpr char kMember[] = "Member";
constexpr char kClustering[] = "Clustering";
constexpr char kSecurity[] = "Security";
constexpr char kAuth[] = "Auth";
constexpr char kMonitoring[] = "Monitoring";
constexpr char kLogging[] = "Logging";
constexpr char kBehaviour[] = "Behaviour";
constexpr char kUnsafe[] = "Unsafe";
constexpr char kGeneral[] = "General";
constexpr char kQuorate[] = "Quorate";
constexpr char kLegacy[] = "Legacy";

constexpr char kBbolt[] = "it tunes bbolt; an engine's options are in plugins.toml";
constexpr char kNoTls[] = "there is no TLS yet";
constexpr char kNoHttp[] = "there is no HTTP transport yet";
constexpr char kNoHttpToGuard[] = "there is no HTTP transport yet whose requests it could limit";
constexpr char kNoDiscovery[] = "discovery is not implemented; use --initial-cluster";
constexpr char kOneMember[] = "a member has no peers yet";
constexpr char kNoAuth[] = "users and tokens are not implemented yet";
constexpr char kNoTracing[] = "traces are not exported";
constexpr char kLongGone[] = "etcd ignores it, too";

}  // namespace

const std::vector<FlagRow> kFlags = {
    {kMember, "name", kText, "default", kHonoured,
     "This member's name, for people and for --initial-cluster."},
    {kMember, "data-dir", kText, "", kHonoured,
     "Where the data lies. Empty: NAME.etcd, in the current folder."},
    {kMember, "wal-dir", kText, "", kHonoured,
     "A folder of its own for the write-ahead log. Empty: in the data directory."},
    {kMember, "listen-peer-urls", kUrls, "http://localhost:2380", kHonoured,
     "Where to listen for other members."},
    {kMember, "listen-client-urls", kUrls, "http://localhost:2379", kHonoured,
     "Where to listen for clients."},
    {kMember, "listen-client-http-urls", kUrls, "", kRefused,
     "Where to listen for clients that speak HTTP only.", kNoHttp},
    {kMember, "max-snapshots", kUnsigned, "5", kNoEffect, "How many snapshot files to keep.",
     "there are no snapshot files; deprecated in etcd 3.6, gone in 3.8"},
    {kMember, "max-wals", kUnsigned, "5", kNoEffect, "How many files of the write-ahead log to keep.",
     "segments go as soon as nothing needs them"},
    {kMember, "snapshot-count", kUnsigned, "0", kHonoured,
     "Entries after which, at the latest, the engine is made durable, so that the log can be cut and a start "
     "replays no more. 0: 32 MiB of changes or 5 seconds alone decide. The default is not etcd's, which is "
     "10000."},
    {kMember, "snapshot-catchup-entries", kUnsigned, "5000", kNoEffect,
     "Entries kept for slow followers when the log is cut.", kOneMember},
    {kMember, "heartbeat-interval", kUnsigned, "100", kHonoured,
     "Milliseconds between a leader's heartbeats."},
    {kMember, "election-timeout", kUnsigned, "1000", kHonoured,
     "Milliseconds without a leader before an election."},
    {kMember, "initial-election-tick-advance", kBool, "true", kNoEffect, "Hold the first election early.",
     "a lone member elects itself at once"},
    {kMember, "quota-backend-bytes", kSigned, "0", kHonoured,
     "Bytes of data at which writing stops. 0: 2 GiB; negative: no limit."},
    {kMember, "backend-bbolt-freelist-type", kText, "map", kNoEffect,
     "bbolt's list of free pages: map or array.", kBbolt},
    {kMember, "backend-batch-interval", kDuration, "0s", kNoEffect, "Time between bbolt's commits.", kBbolt},
    {kMember, "backend-batch-limit", kSigned, "0", kNoEffect, "Operations per commit of bbolt.", kBbolt},
    {kMember, "max-txn-ops", kUnsigned32, "128", kHonoured, "Operations in one transaction."},
    {kMember, "max-request-bytes", kUnsigned, "1572864", kHonoured, "Bytes of one request."},
    {kMember, "max-concurrent-streams", kUnsigned32, "4294967295", kHonoured,
     "Calls at a time on one connection."},
    {kMember, "grpc-keepalive-min-time", kDuration, "5s", kHonoured,
     "A client that pings more often is disconnected."},
    {kMember, "grpc-keepalive-interval", kDuration, "2h", kHonoured,
     "How often to ping an idle client. 0: never."},
    {kMember, "grpc-keepalive-timeout", kDuration, "20s", kHonoured,
     "How long an answer to a ping may take."},
    {kMember, "socket-reuse-port", kBool, "false", kHonoured, "Set SO_REUSEPORT on listening sockets.", "",
     "socket-options.reuse-port"},
    {kMember, "socket-reuse-address", kBool, "false", kNoEffect, "Set SO_REUSEADDR on listening sockets.",
     "SO_REUSEADDR is always set, as in etcd", "socket-options.reuse-address"},
    {kMember, "raft-read-timeout", kDuration, "5s", kNoEffect, "Limit of reads from other members.",
     kOneMember, ""},
    {kMember, "raft-write-timeout", kDuration, "5s", kNoEffect, "Limit of writes to other members.",
     kOneMember, ""},
    {kMember, "memory-mlock", kBool, "false", kNoEffect, "Keep memory from being swapped out.",
     "it is for bbolt's mapped file, which does not exist here"},
    {kMember, "bootstrap-defrag-threshold-megabytes", kUnsigned, "0", kNoEffect,
     "Defragment at the start when it frees that much.", kBbolt},
    {kMember, "max-learners", kSigned, "1", kNoEffect, "Learners in the cluster.", kOneMember},

    {kClustering, "initial-advertise-peer-urls", kUrls, "http://localhost:2380", kHonoured,
     "Where other members reach this one."},
    {kClustering, "initial-cluster", kText, "", kHonoured,
     "The members of a new cluster: NAME=URL,... Empty: this one alone, at its advertised peer URLs."},
    {kClustering, "initial-cluster-state", kText, "new", kHonoured,
     "new, or existing: join a cluster that runs."},
    {kClustering, "initial-cluster-token", kText, "etcd-cluster", kHonoured,
     "Tells clusters apart that are started alike."},
    {kClustering, "advertise-client-urls", kUrls, "http://localhost:2379", kHonoured,
     "Where clients reach this member."},
    {kClustering, "strict-reconfig-check", kBool, "true", kNoEffect,
     "Refuse membership changes that would cost the quorum.", kOneMember},
    {kClustering, "pre-vote", kBool, "true", kHonoured, "Ask before an election whether it can be won."},
    {kClustering, "auto-compaction-mode", kText, "periodic", kHonoured, "periodic or revision."},
    {kClustering, "auto-compaction-retention", kText, "0", kHonoured,
     "History to keep. periodic: a duration, or hours as a number; revision: revisions. 0: all of it."},
    {kClustering, "discovery-endpoints", kList, "", kRefused, "Endpoints of a discovery service.",
     kNoDiscovery, "discovery-config.client.endpoints"},
    {kClustering, "discovery-token", kText, "", kRefused, "The cluster's token there.", kNoDiscovery,
     "discovery-config.token"},
    {kClustering, "discovery-dial-timeout", kDuration, "2s", kRefused, "Limit of connecting to it.",
     kNoDiscovery, "discovery-config.client.dial-timeout"},
    {kClustering, "discovery-request-timeout", kDuration, "5s", kRefused, "Limit of a request to it.",
     kNoDiscovery, "discovery-config.client.request-timeout"},
    {kClustering, "discovery-keepalive-time", kDuration, "2s", kRefused, "Time between pings to it.",
     kNoDiscovery, "discovery-config.client.keepalive-time"},
    {kClustering, "discovery-keepalive-timeout", kDuration, "6s", kRefused, "Limit of its answer to a ping.",
     kNoDiscovery, "discovery-config.client.keepalive-timeout"},
    {kClustering, "discovery-insecure-transport", kBool, "true", kRefused, "Speak with it without TLS.",
     kNoDiscovery, "discovery-config.client.secure.insecure-transport"},
    {kClustering, "discovery-insecure-skip-tls-verify", kBool, "false", kRefused,
     "Do not verify its certificate.", kNoDiscovery,
     "discovery-config.client.secure.insecure-skip-tls-verify"},
    {kClustering, "discovery-cert", kText, "", kRefused, "A client certificate for it.", kNoDiscovery,
     "discovery-config.client.secure.cert"},
    {kClustering, "discovery-key", kText, "", kRefused, "The certificate's key.", kNoDiscovery,
     "discovery-config.client.secure.key"},
    {kClustering, "discovery-cacert", kText, "", kRefused, "Whom to trust for its certificate.", kNoDiscovery,
     "discovery-config.client.secure.cacert"},
    {kClustering, "discovery-user", kText, "", kRefused, "A user, or user:password, there.", kNoDiscovery,
     "discovery-config.client.auth.username"},
    {kClustering, "discovery-password", kText, "", kRefused, "The user's password.", kNoDiscovery,
     "discovery-config.client.auth.password"},
    {kClustering, "discovery-fallback", kText, "exit", kRefused, "What to do when discovery fails: exit.",
     "the v2 proxy is gone", ""},
    {kClustering, "discovery-srv", kText, "", kRefused, "A DNS domain whose SRV records name the members.",
     kNoDiscovery},
    {kClustering, "discovery-srv-name", kText, "", kRefused, "A suffix of the records' names.", kNoDiscovery},

    {kSecurity, "cert-file", kText, "", kRefused, "The certificate that clients are shown.", kNoTls,
     "client-transport-security.cert-file"},
    {kSecurity, "key-file", kText, "", kRefused, "Its key.", kNoTls, "client-transport-security.key-file"},
    {kSecurity, "client-cert-file", kText, "", kRefused, "The certificate for connections to ourselves.",
     kNoTls, "client-transport-security.client-cert-file"},
    {kSecurity, "client-key-file", kText, "", kRefused, "Its key.", kNoTls,
     "client-transport-security.client-key-file"},
    {kSecurity, "client-cert-auth", kBool, "false", kRefused, "Demand certificates of clients.", kNoTls,
     "client-transport-security.client-cert-auth"},
    {kSecurity, "client-crl-file", kText, "", kRefused, "Revoked certificates of clients.", kNoTls, ""},
    {kSecurity, "client-cert-allowed-hostname", kList, "", kRefused,
     "Names that a client's certificate may bear.", kNoTls, "client-transport-security.allowed-hostname"},
    {kSecurity, "trusted-ca-file", kText, "", kRefused, "Whom to trust for the certificates of clients.",
     kNoTls, "client-transport-security.trusted-ca-file"},
    {kSecurity, "auto-tls", kBool, "false", kRefused,
     "TLS for clients with a certificate made up at the start.", kNoTls,
     "client-transport-security.auto-tls"},
    {kSecurity, "peer-cert-file", kText, "", kRefused, "The certificate that other members are shown.",
     kNoTls, "peer-transport-security.cert-file"},
    {kSecurity, "peer-key-file", kText, "", kRefused, "Its key.", kNoTls, "peer-transport-security.key-file"},
    {kSecurity, "peer-client-cert-file", kText, "", kRefused,
     "The certificate for connections to other members.", kNoTls, "peer-transport-security.client-cert-file"},
    {kSecurity, "peer-client-key-file", kText, "", kRefused, "Its key.", kNoTls,
     "peer-transport-security.client-key-file"},
    {kSecurity, "peer-client-cert-auth", kBool, "false", kRefused, "Demand certificates of other members.",
     kNoTls, "peer-transport-security.client-cert-auth"},
    {kSecurity, "peer-crl-file", kText, "", kRefused, "Revoked certificates of members.", kNoTls, ""},
    {kSecurity, "peer-trusted-ca-file", kText, "", kRefused, "Whom to trust for the certificates of members.",
     kNoTls, "peer-transport-security.trusted-ca-file"},
    {kSecurity, "peer-cert-allowed-cn", kList, "", kRefused,
     "Common names that a member's certificate may bear.", kNoTls, "peer-transport-security.allowed-cn"},
    {kSecurity, "peer-cert-allowed-hostname", kList, "", kRefused,
     "Names that a member's certificate may bear.", kNoTls, "peer-transport-security.allowed-hostname"},
    {kSecurity, "peer-skip-client-san-verification", kBool, "false", kRefused,
     "Do not compare a member's certificate with its address.", kNoTls,
     "peer-transport-security.skip-client-san-verification"},
    {kSecurity, "peer-auto-tls", kBool, "false", kRefused,
     "TLS for members with a certificate made up at the start.", kNoTls, "peer-transport-security.auto-tls"},
    {kSecurity, "self-signed-cert-validity", kUnsigned, "1", kRefused,
     "Years that such a certificate is valid.", kNoTls},
    {kSecurity, "cipher-suites", kList, "", kRefused, "Cipher suites of TLS 1.2.", kNoTls},
    {kSecurity, "tls-min-version", kText, "TLS1.2", kRefused, "The oldest TLS to accept.", kNoTls},
    {kSecurity, "tls-max-version", kText, "", kRefused, "The newest TLS to accept.", kNoTls},
    {kSecurity, "cors", kText, "*", kNoEffect, "Origins that browsers may call from.", kNoHttpToGuard},
    {kSecurity, "host-whitelist", kText, "*", kNoEffect, "Host names that plain HTTP requests may ask for.",
     kNoHttpToGuard},

    {kAuth, "auth-token", kText, "simple", kRefused, "What tokens are: simple, or jwt with its options.",
     kNoAuth},
    {kAuth, "bcrypt-cost", kUnsigned, "10", kRefused, "How hard passwords are hashed, 4 to 31.", kNoAuth},
    {kAuth, "auth-token-ttl", kUnsigned, "300", kRefused, "Seconds that a simple token lives.", kNoAuth},

    {kMonitoring, "enable-pprof", kBool, "false", kNoEffect, "Profiles of the Go runtime over HTTP.",
     "there is no Go runtime to profile; use perf"},
    {kMonitoring, "metrics", kText, "basic", kNoEffect, "basic or extensive.", kNoHttp},
    {kMonitoring, "listen-metrics-urls", kUrls, "", kRefused, "Where to serve metrics and health.", kNoHttp},
    {kMonitoring, "enable-distributed-tracing", kBool, "false", kNoEffect, "Export traces.", kNoTracing},
    {kMonitoring, "distributed-tracing-address", kText, "localhost:4317", kNoEffect, "Where to.", kNoTracing},
    {kMonitoring, "distributed-tracing-service-name", kText, "etcd", kNoEffect, "As which service.",
     kNoTracing},
    {kMonitoring, "distributed-tracing-instance-id", kText, "", kNoEffect, "As which instance.", kNoTracing},
    {kMonitoring, "distributed-tracing-sampling-rate", kSigned, "0", kNoEffect, "How many of a million.",
     kNoTracing},

    {kLogging, "logger", kText, "zap", kHonoured, "zap: structured lines, the only choice."},
    {kLogging, "log-outputs", kList, "default", kHonoured,
     "default, stderr, stdout and paths of files, any number of them. default is stderr."},
    {kLogging, "log-level", kText, "info", kHonoured, "debug, info, warn, error, panic or fatal."},
    {kLogging, "log-format", kText, "json", kHonoured, "json or console."},
    {kLogging, "enable-log-rotation", kBool, "false", kHonoured, "Rotate the one file among --log-outputs."},
    {kLogging, "log-rotation-config-json", kText,
     R"({"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false})", kHonoured,
     "When to rotate (maxsize, MB), and which old files to delete (maxage, days; maxbackups)."},
    {kLogging, "warning-apply-duration", kDuration, "100ms", kHonoured,
     "Log an apply, and the answer to a read, that takes longer. Values are not logged."},
    {kLogging, "warning-unary-request-duration", kDuration, "300ms", kHonoured,
     "Log a request that takes longer. Values are not logged."},

    {kBehaviour, "enable-grpc-gateway", kBool, "true", kNoEffect, "Serve the API as JSON over HTTP.",
     kNoHttp},
    {kBehaviour, "corrupt-check-time", kDuration, "0s", kRefused,
     "How often to compare hashes with other members.", kOneMember},
    {kBehaviour, "compact-hash-check-time", kDuration, "1m", kNoEffect,
     "How often to compare the hashes of compactions.", kOneMember},
    {kBehaviour, "compaction-batch-limit", kSigned, "1000", kHonoured,
     "Revisions deleted in one step of a compaction."},
    {kBehaviour, "compaction-sleep-interval", kDuration, "10ms", kHonoured, "Rest between two steps."},
    {kBehaviour, "watch-progress-notify-interval", kDuration, "10m", kHonoured,
     "How often an idle watch that wants it is told the revision. At least 100ms."},
    {kBehaviour, "downgrade-check-time", kDuration, "5s", kNoEffect,
     "How often to look whether a downgrade is done.", kOneMember},
    {kBehaviour, "feature-gates", kText, "", kHonoured, "NAME=true,NAME=false: see docs/operations.md."},
    {kBehaviour, "v2-deprecation", kText, "write-only-drop-data", kNoEffect,
     "How the v2 store is phased out.", "deprecated; the default is enforced, as in etcd"},

    {kUnsafe, "force-new-cluster", kBool, "false", kRefused,
     "Make a cluster of one member out of the data directory.", "it is not implemented yet"},
    {kUnsafe, "unsafe-no-fsync", kBool, "false", kHonoured,
     "Never wait for the disk: a power cut loses data."},

    {kGeneral, "config-file", kText, "", kHonoured,
     "A YAML file; flags and environment are then ignored, but for --plugins and --check-config.", "", ""},
    {kGeneral, "version", kBool, "false", kHonoured, "Print the version and exit.", "", ""},

    {kQuorate, "plugins", kText, "", kHonoured,
     "Which plugins to load. Empty: plugins.toml in the data directory, else the installed one, else built "
     "in.",
     "", ""},
    {kQuorate, "check-config", kBool, "false", kHonoured,
     "Check everything, plugins and their options too, print the effective configuration and exit.", "", ""},
    {kQuorate, "cache-bytes", kUnsigned, "234881024", kHonoured, "Bytes of records to keep in memory."},

    {kLegacy, "cluster-active-size", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "cluster-remove-delay", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "cluster-sync-interval", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "config", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "force", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "max-result-buffer", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "max-retry-attempts", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "peer-heartbeat-interval", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "peer-election-timeout", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "retry-interval", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "snapshot", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "v", kIgnored, "", kNoEffect, "", kLongGone, ""},
    {kLegacy, "vv", kIgnored, "", kNoEffect, "", kLongGone, ""},
};

const std::vector<RemovedFlag> kRemovedFlags = {
    {"enable-v2", "the v2 API is served without a flag, or not at all"},
    {"experimental-enable-v2v3", "it was removed in etcd 3.6"},
    {"proxy", "the v2 proxy was removed in etcd 3.6"},
    {"proxy-failure-wait", "the v2 proxy was removed in etcd 3.6"},
    {"proxy-refresh-interval", "the v2 proxy was removed in etcd 3.6"},
    {"proxy-dial-timeout", "the v2 proxy was removed in etcd 3.6"},
    {"proxy-write-timeout", "the v2 proxy was removed in etcd 3.6"},
    {"proxy-read-timeout", "the v2 proxy was removed in etcd 3.6"},
    {"discovery", "v2 discovery was removed in etcd 3.7; use --initial-cluster"},
    {"discovery-proxy", "v2 discovery was removed in etcd 3.7; use --initial-cluster"},
    {"debug", "use --log-level=debug"},
    {"log-output", "use --log-outputs"},
    {"log-package-levels", "use --log-level"},
    {"ca-file", "use --trusted-ca-file"},
    {"peer-ca-file", "use --peer-trusted-ca-file"},
    {"addr", "use --advertise-client-urls"},
    {"peer-addr", "use --initial-advertise-peer-urls"},
    {"bind-addr", "use --listen-client-urls"},
    {"peer-bind-addr", "use --listen-peer-urls"},
    {"peers", "use --initial-cluster"},
    {"experimental-v3demo", "version 3 of the API is always there"},
    {"experimental-gRPC-addr", "use --listen-client-urls"},
    {"experimental-initial-corrupt-check", "use --feature-gates=InitialCorruptCheck=true"},
    {"experimental-compact-hash-check-enabled", "use --feature-gates=CompactHashCheck=true"},
    {"experimental-enable-lease-checkpoint", "use --feature-gates=LeaseCheckpoint=true"},
    {"experimental-enable-lease-checkpoint-persist", "use --feature-gates=LeaseCheckpointPersist=true"},
    {"experimental-stop-grpc-service-on-defrag", "use --feature-gates=StopGRPCServiceOnDefrag=true"},
    {"experimental-txn-mode-write-with-shared-buffer",
     "use --feature-gates=TxnModeWriteWithSharedBuffer=true"},
};

}  // namespace quorate::host
