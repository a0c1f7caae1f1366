// The layout of everything that crosses the boundary, against a file that changes only on purpose: sizes,
// offsets, order and declaration of virtual functions, values of enums. What the compiler made is compared
// with what the headers say, so nothing can be forgotten in the tables below.
//
// After a change that is meant: QUORATE_REWRITE_GOLDEN=1 test_plugin_abi, and look at the difference. Once
// the interfaces are released, no line of a released one may change.
#include <set>

#include "abi_fixture.h"
#include "quorate/plugin/auth.h"
#include "sdk_source.h"

namespace quorate::host::test {
namespace {

using namespace quorate::plugin;  // the table below names every type of the SDK

struct Slot {
  const char* function;
  ptrdiff_t slot;
};

// The place in the vtable, from the representation of a pointer to a virtual member function (Itanium C++
// ABI).
template <typename Function>
ptrdiff_t slot_of(Function function) {
  struct Parts {
    ptrdiff_t pointer, adjustment;
  } parts;
  static_assert(sizeof parts == sizeof function);
  std::memcpy(&parts, &function, sizeof parts);
#if defined(__aarch64__)
  return parts.pointer / static_cast<ptrdiff_t>(sizeof(void*));
#else
  return (parts.pointer - 1) / static_cast<ptrdiff_t>(sizeof(void*));
#endif
}

struct Field {
  const char* name;
  size_t offset, size;
};

struct Layout {
  const char* name;
  size_t size, alignment;
  std::vector<Field> fields;
  std::vector<Slot> slots;
};

#define FIELD(TYPE, NAME) \
  Field { #NAME, offsetof(TYPE, NAME), sizeof(TYPE::NAME) }
#define SLOT(TYPE, NAME) \
  Slot { #NAME, slot_of(&TYPE::NAME) }
#define LAYOUT(TYPE) #TYPE, sizeof(TYPE), alignof(TYPE)

std::vector<Layout> base_layouts() {
  return {
      {LAYOUT(ByteView), {FIELD(ByteView, data), FIELD(ByteView, size)}, {}},
      {LAYOUT(BufferControl),
       {FIELD(BufferControl, references), FIELD(BufferControl, reserved), FIELD(BufferControl, free)},
       {}},
      {LAYOUT(Object), {}, {SLOT(Object, retain), SLOT(Object, release), SLOT(Object, query)}},
      {LAYOUT(Option), {FIELD(Option, key), FIELD(Option, value)}, {}},
      {LAYOUT(Descriptor),
       {FIELD(Descriptor, magic), FIELD(Descriptor, struct_size), FIELD(Descriptor, abi_major),
        FIELD(Descriptor, abi_minor), FIELD(Descriptor, kind), FIELD(Descriptor, name),
        FIELD(Descriptor, version), FIELD(Descriptor, architecture), FIELD(Descriptor, sanitizer),
        FIELD(Descriptor, capabilities), FIELD(Descriptor, create), FIELD(Descriptor, check_options)},
       {}},
  };
}

std::vector<Layout> host_layouts() {
  return {
      {LAYOUT(FileStat),
       {FIELD(FileStat, struct_size), FIELD(FileStat, size), FIELD(FileStat, allocated),
        FIELD(FileStat, modified_unix_ns), FIELD(FileStat, is_directory), FIELD(FileStat, mode)},
       {}},
      {LAYOUT(File),
       {},
       {SLOT(File, read_at), SLOT(File, append), SLOT(File, write_at), SLOT(File, sync), SLOT(File, truncate),
        SLOT(File, allocate), SLOT(File, size)}},
      {LAYOUT(NameSink), {}, {SLOT(NameSink, name)}},
      {LAYOUT(Files),
       {},
       {SLOT(Files, open), SLOT(Files, rename), SLOT(Files, remove), SLOT(Files, link), SLOT(Files, list),
        SLOT(Files, stat), SLOT(Files, make_dir), SLOT(Files, sync_dir), SLOT(Files, lock),
        SLOT(Files, free_space)}},
      {LAYOUT(Log), {}, {SLOT(Log, enabled), SLOT(Log, write)}},
      {LAYOUT(Clock), {}, {SLOT(Clock, monotonic_ns), SLOT(Clock, unix_ns)}},
      {LAYOUT(Random), {}, {SLOT(Random, fill)}},
      {LAYOUT(Job), {}, {SLOT(Job, run), SLOT(Job, done)}},
      {LAYOUT(Offload), {}, {SLOT(Offload, submit)}},
      {LAYOUT(HostServices), {}, {}},
  };
}

std::vector<Layout> storage_layouts() {
  return {
      {LAYOUT(WriteOp),
       {FIELD(WriteOp, kind), FIELD(WriteOp, keyspace), FIELD(WriteOp, key), FIELD(WriteOp, value)},
       {}},
      {LAYOUT(OpenInfo),
       {FIELD(OpenInfo, struct_size), FIELD(OpenInfo, directory), FIELD(OpenInfo, keyspaces),
        FIELD(OpenInfo, read_only), FIELD(OpenInfo, options)},
       {}},
      {LAYOUT(StorageEvents),
       {},
       {SLOT(StorageEvents, on_durable), SLOT(StorageEvents, on_background_error),
        SLOT(StorageEvents, on_pressure)}},
      {LAYOUT(ReadSink), {}, {SLOT(ReadSink, entry)}},
      {LAYOUT(ScanOptions),
       {FIELD(ScanOptions, struct_size), FIELD(ScanOptions, keyspace), FIELD(ScanOptions, reverse),
        FIELD(ScanOptions, begin), FIELD(ScanOptions, end), FIELD(ScanOptions, read_ahead),
        FIELD(ScanOptions, fill_cache)},
       {}},
      {LAYOUT(ReadView),
       {},
       {SLOT(ReadView, mark), SLOT(ReadView, get), SLOT(ReadView, multi_get), SLOT(ReadView, scan)}},
      {LAYOUT(StatisticsSink), {}, {SLOT(StatisticsSink, statistic)}},
      {LAYOUT(Store),
       {},
       {SLOT(Store, write), SLOT(Store, sync), SLOT(Store, durable_mark), SLOT(Store, new_read_view),
        SLOT(Store, compact), SLOT(Store, approximate_size), SLOT(Store, statistics), SLOT(Store, close)}},
      {LAYOUT(Engine), {}, {SLOT(Engine, open)}},
  };
}

std::vector<Layout> transport_values() {
  return {
      {LAYOUT(TransportLimits),
       {FIELD(TransportLimits, struct_size), FIELD(TransportLimits, max_receive_message),
        FIELD(TransportLimits, max_send_message), FIELD(TransportLimits, max_concurrent_streams),
        FIELD(TransportLimits, max_header_bytes), FIELD(TransportLimits, keepalive_min_time_ns),
        FIELD(TransportLimits, keepalive_interval_ns), FIELD(TransportLimits, keepalive_timeout_ns),
        FIELD(TransportLimits, handshake_timeout_ns), FIELD(TransportLimits, send_mark)},
       {}},
      {LAYOUT(ConnectionInfo),
       {FIELD(ConnectionInfo, struct_size), FIELD(ConnectionInfo, id), FIELD(ConnectionInfo, role),
        FIELD(ConnectionInfo, secure), FIELD(ConnectionInfo, local_address),
        FIELD(ConnectionInfo, remote_address), FIELD(ConnectionInfo, principal), FIELD(ConnectionInfo, alpn),
        FIELD(ConnectionInfo, unix_pid), FIELD(ConnectionInfo, unix_uid), FIELD(ConnectionInfo, unix_gid),
        FIELD(ConnectionInfo, limits)},
       {}},
      {LAYOUT(Header), {FIELD(Header, name), FIELD(Header, value)}, {}},
      {LAYOUT(CallInfo),
       {FIELD(CallInfo, struct_size), FIELD(CallInfo, method), FIELD(CallInfo, authority),
        FIELD(CallInfo, metadata), FIELD(CallInfo, deadline_ns), FIELD(CallInfo, connection)},
       {}},
      {LAYOUT(End),
       {FIELD(End, struct_size), FIELD(End, cause), FIELD(End, code), FIELD(End, text), FIELD(End, trailers)},
       {}},
      {LAYOUT(DialInfo),
       {FIELD(DialInfo, struct_size), FIELD(DialInfo, lane), FIELD(DialInfo, authority),
        FIELD(DialInfo, events)},
       {}},
  };
}

std::vector<Layout> transport_interfaces() {
  return {
      {LAYOUT(Connection),
       {},
       {SLOT(Connection, info), SLOT(Connection, now_ns), SLOT(Connection, send),
        SLOT(Connection, queued_bytes), SLOT(Connection, request_flush), SLOT(Connection, pause_read),
        SLOT(Connection, resume_read), SLOT(Connection, arm), SLOT(Connection, charge),
        SLOT(Connection, close)}},
      {LAYOUT(StreamReader),
       {},
       {SLOT(StreamReader, on_headers), SLOT(StreamReader, on_message), SLOT(StreamReader, on_half_close),
        SLOT(StreamReader, on_writable), SLOT(StreamReader, on_end)}},
      {LAYOUT(Writer), {}, {SLOT(Writer, write), SLOT(Writer, queued_bytes), SLOT(Writer, request)}},
      {LAYOUT(ServerWriter), {}, {SLOT(ServerWriter, headers), SLOT(ServerWriter, finish)}},
      {LAYOUT(LongMessage), {}, {SLOT(LongMessage, begin), SLOT(LongMessage, piece)}},
      {LAYOUT(ClientWriter), {}, {SLOT(ClientWriter, half_close), SLOT(ClientWriter, cancel)}},
      {LAYOUT(CallHandler), {}, {SLOT(CallHandler, on_call)}},
      {LAYOUT(Session),
       {},
       {SLOT(Session, on_data), SLOT(Session, on_writable), SLOT(Session, on_flush), SLOT(Session, on_timer),
        SLOT(Session, on_eof), SLOT(Session, on_closed), SLOT(Session, drain), SLOT(Session, open_calls)}},
      {LAYOUT(ClientSession), {}, {SLOT(ClientSession, open_call)}},
      {LAYOUT(DialEvents), {}, {SLOT(DialEvents, on_ready), SLOT(DialEvents, on_draining)}},
      {LAYOUT(Transport),
       {},
       {SLOT(Transport, match), SLOT(Transport, alpn), SLOT(Transport, serve), SLOT(Transport, dial)}},
      {LAYOUT(FilterSink),
       {},
       {SLOT(FilterSink, to_wire), SLOT(FilterSink, plaintext), SLOT(FilterSink, secured)}},
      {LAYOUT(Filter),
       {},
       {SLOT(Filter, from_wire), SLOT(Filter, to_wire), SLOT(Filter, resume), SLOT(Filter, close)}},
      {LAYOUT(Channel), {}, {SLOT(Channel, secure)}},
  };
}

std::vector<Layout> all_layouts() {
  std::vector<Layout> all;
  for (auto part : {base_layouts, host_layouts, storage_layouts, transport_values, transport_interfaces})
    for (Layout& l : part()) all.push_back(std::move(l));
  return all;
}

// Types whose members are private: only their size can be seen, and base.h asserts it.
const std::set<std::string> kOpaque = {"Buffer", "Status"};

std::string dump(const SdkSource& source) {
  std::string out = "Buffer size " + std::to_string(sizeof(Buffer)) + "\nStatus size " +
                    std::to_string(sizeof(Status)) + "\nView size " + std::to_string(sizeof(View<int>)) +
                    "\n";
  for (const std::string& e : source.enums) out += e + "\n";
  for (const Layout& l : all_layouts()) {
    const SdkType* type = source.find(l.name);
    if (type == nullptr) continue;  // another test says so
    out += std::string(l.name) + (type->base.empty() ? "" : " : " + type->base) + " size " +
           std::to_string(l.size) + " align " + std::to_string(l.alignment) + "\n";
    for (const Field& f : l.fields)
      out += "  at " + std::to_string(f.offset) + " size " + std::to_string(f.size) + " " + f.name + "\n";
    for (size_t i = 0; i < l.slots.size() && i < type->virtuals.size(); ++i)
      out += "  slot " + std::to_string(l.slots[i].slot) + " " + type->virtuals[i] + "\n";
  }
  return out;
}

size_t inherited_slots(const SdkSource& source, const SdkType& type) {
  if (type.base.empty()) return 0;
  const SdkType* base = source.find(type.base);
  EXPECT_NE(base, nullptr) << type.base;
  return base == nullptr ? 0 : inherited_slots(source, *base) + base->virtuals.size();
}

TEST(Layout, TheTablesNameEverythingThatTheHeadersDeclare) {
  SdkSource source = read_sdk_source(QUORATE_SOURCE_DIR);
  std::vector<Layout> layouts = all_layouts();
  std::set<std::string> known;
  for (const Layout& l : layouts) {
    known.insert(l.name);
    const SdkType* type = source.find(l.name);
    ASSERT_NE(type, nullptr) << l.name << " is in no header";
    std::vector<std::string> fields, functions, declared;
    for (const Field& f : l.fields) fields.push_back(f.name);
    for (const Slot& s : l.slots) functions.push_back(s.function);
    for (const std::string& v : type->virtuals) declared.push_back(function_name(v));
    EXPECT_EQ(fields, type->fields) << l.name;
    EXPECT_EQ(functions, declared) << l.name;
  }
  for (const SdkType& type : source.types)
    EXPECT_TRUE(known.count(type.name) + kOpaque.count(type.name) == 1) << type.name << " has no layout here";
  EXPECT_GT(source.enums.size(), 10u);
}

TEST(Layout, SlotsFollowTheOrderOfDeclaration) {
  SdkSource source = read_sdk_source(QUORATE_SOURCE_DIR);
  for (const Layout& l : all_layouts()) {
    const SdkType* type = source.find(l.name);
    ASSERT_NE(type, nullptr);
    size_t slot = inherited_slots(source, *type);
    for (const Slot& s : l.slots)
      EXPECT_EQ(static_cast<size_t>(s.slot), slot++) << l.name << "::" << s.function;
  }
}

TEST(Layout, EveryFunctionOfTheBoundaryIsNoexcept) {
  for (const SdkType& type : read_sdk_source(QUORATE_SOURCE_DIR).types)
    for (const std::string& v : type.virtuals)
      EXPECT_TRUE(v.size() > 9 && v.compare(v.size() - 9, 9, " noexcept") == 0) << type.name << ": " << v;
}

TEST(Layout, IsTheGoldenOne) {
  std::string path = std::string(QUORATE_SOURCE_DIR) + "/tests/plugin_abi/golden/sdk-layout.txt";
  std::string now = dump(read_sdk_source(QUORATE_SOURCE_DIR));
  if (getenv("QUORATE_REWRITE_GOLDEN") != nullptr) {
    put(path, now);
    GTEST_SKIP() << "rewrote " << path;
  }
  std::istringstream golden(contents_of(path)), current(now);
  std::string was, is;
  int line = 0;
  for (bool a = true, b = true; ++line;) {
    a = static_cast<bool>(std::getline(golden, was));
    b = static_cast<bool>(std::getline(current, is));
    if (!a && !b) break;
    ASSERT_EQ(a ? was : "(end)", b ? is : "(end)")
        << path << ":" << line << ": the layout of the SDK has changed";
  }
  EXPECT_GT(line, 200);
}

}  // namespace
}  // namespace quorate::host::test
