#include "wire/random_message.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "api/messages.h"
#include "api/methods.h"
#include "auth.pb.h"
#include "health.pb.h"
#include "kv.pb.h"
#include "rpc.pb.h"
#include "v3election.pb.h"
#include "v3lock.pb.h"
#include "wire/access.h"

namespace quorate::wire {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

namespace {

void collect(const MessageTable* table, std::map<std::string_view, const MessageTable*>* all) {
  if (!all->emplace(table->name, table).second) return;
  for (const Field& f : *table)
    if (f.message != nullptr) collect(f.message, all);
}

}  // namespace

const std::vector<const MessageTable*>& all_tables() {
  static const auto* tables = [] {
    std::map<std::string_view, const MessageTable*> all;
    for (const api::Method& m : api::methods()) collect(m.request, &all), collect(m.response, &all);
    for (const MessageTable* t :
         {&api::User::kTable, &api::Role::kTable, &api::LeaseCheckpointRequest::kTable,
          &api::LeaseCheckpointResponse::kTable, &api::DowngradeVersionTestRequest::kTable})
      collect(t, &all);
    auto* out = new std::vector<const MessageTable*>;
    for (auto& [name, table] : all) out->push_back(table);
    return out;
  }();
  return *tables;
}

std::unique_ptr<Message> new_protobuf(const MessageTable& table) {
  // Any message of a file, used once, makes the linker keep the file's descriptors.
  static const bool linked = etcdserverpb::PutRequest().ByteSizeLong() + mvccpb::KeyValue().ByteSizeLong() +
                                 authpb::User().ByteSizeLong() + v3lockpb::LockRequest().ByteSizeLong() +
                                 v3electionpb::LeaderKey().ByteSizeLong() +
                                 grpc::health::v1::HealthCheckRequest().ByteSizeLong() ==
                             0;
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(std::string(table.name));
  if (!linked || descriptor == nullptr) ADD_FAILURE() << "no protobuf message " << table.name, std::abort();
  const Message* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor);
  return std::unique_ptr<Message>(prototype->New());
}

uint64_t RandomMessages::integer() {
  switch (below(6)) {
    case 0:
      return 0;
    case 1:
      return below(200);
    case 2:
      return ~below(3);
    case 3:
      return uint64_t{1} << below(64);
    case 4:
      return (uint64_t{1} << below(64)) - 1;
    default:
      return random_();
  }
}

size_t RandomMessages::length() {
  constexpr size_t kEdges[] = {0, 1, 127, 128, 300};
  return one_in(4) ? kEdges[below(5)] : below(20);
}

std::string RandomMessages::bytes() {
  std::string s(length(), 0);
  for (char& c : s) c = static_cast<char>(one_in(3) ? 0 : random_());
  return s;
}

std::string RandomMessages::text(bool plain) {
  static const std::vector<std::string> kPlain = {"a", "Z", "0", " ", "é", "漢", "/"};
  static const std::vector<std::string> kAny = {"\"",     "\\",     "\n",     std::string(1, 0), "\x1f",
                                                "\x7f",   "<",      "&",      "\u2028",          "\U0001F600",
                                                "\u07ff", "\u0800", "\ud7ff", "\U0010ffff"};
  std::string s;
  for (size_t n = length(); n > 0; n--) {
    const auto& from = plain || one_in(2) ? kPlain : kAny;
    s += from[below(from.size())];
  }
  return s;
}

void RandomMessages::fill(Message* m, const RandomOptions& options) {
  const auto* d = m->GetDescriptor();
  for (int i = 0; i < d->field_count(); i++) {
    const FieldDescriptor* f = d->field(i);
    if (f->type() == FieldDescriptor::TYPE_MESSAGE && options.depth == 0) continue;
    if (one_in(3)) continue;
    if (!f->is_repeated()) {
      fill_one(m, f, options, false);
      continue;
    }
    // A map keeps one of equal keys only; with one entry there is nothing to choose from.
    uint64_t n = f->is_map() ? 1 : one_in(20) ? below(40) : below(4);
    for (uint64_t k = 0; k < n; k++) fill_one(m, f, options, true);
  }
}

void RandomMessages::fill_one(Message* m, const FieldDescriptor* f, const RandomOptions& options, bool add) {
  const auto* r = m->GetReflection();
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return r->SetInt64(m, f, static_cast<int64_t>(integer()));
    case FieldDescriptor::CPPTYPE_UINT64:
      return r->SetUInt64(m, f, integer());
    case FieldDescriptor::CPPTYPE_UINT32:
      return r->SetUInt32(m, f, static_cast<uint32_t>(integer()));
    case FieldDescriptor::CPPTYPE_BOOL:
      return r->SetBool(m, f, one_in(2));
    case FieldDescriptor::CPPTYPE_ENUM: {
      int v = static_cast<int>(one_in(4) ? integer() : below(5));
      return add ? r->AddEnumValue(m, f, v) : r->SetEnumValue(m, f, v);
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string s = f->type() == FieldDescriptor::TYPE_STRING ? text(options.plain_strings) : bytes();
      return add ? r->AddString(m, f, s) : r->SetString(m, f, s);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      RandomOptions deeper = options;
      deeper.depth--;
      return fill(add ? r->AddMessage(m, f) : r->MutableMessage(m, f), deeper);
    }
    default:
      ADD_FAILURE() << "a type without a kind: " << f->full_name();
  }
}

namespace {

uint64_t scalar_of(const Message& m, const FieldDescriptor* f, int index) {
  const auto* r = m.GetReflection();
  bool repeated = index >= 0;
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<uint64_t>(r->GetInt64(m, f));
    case FieldDescriptor::CPPTYPE_UINT64:
      return r->GetUInt64(m, f);
    case FieldDescriptor::CPPTYPE_UINT32:
      return r->GetUInt32(m, f);
    case FieldDescriptor::CPPTYPE_BOOL:
      return r->GetBool(m, f);
    default:
      return static_cast<uint64_t>(
          int64_t{repeated ? r->GetRepeatedEnumValue(m, f, index) : r->GetEnumValue(m, f)});
  }
}

void copy_value(const Message& from, const FieldDescriptor* d, int index, const Field& f, void* at,
                Arena& arena) {
  const auto* r = from.GetReflection();
  std::string scratch;
  if (f.kind == Kind::kMessage) {
    const Message& sub = index >= 0 ? r->GetRepeatedMessage(from, d, index) : r->GetMessage(from, d);
    copy_to_struct(sub, *f.message, at, arena);
  } else if (is_scalar(f.kind)) {
    store_scalar(f.kind, at, scalar_of(from, d, index));
  } else {
    const std::string& s = index >= 0 ? r->GetRepeatedStringReference(from, d, index, &scratch)
                                      : r->GetStringReference(from, d, &scratch);
    store(at, std::string_view(s));
  }
}

}  // namespace

void copy_to_struct(const Message& from, const MessageTable& table, void* to, Arena& arena) {
  const auto* r = from.GetReflection();
  for (const Field& f : table) {
    const FieldDescriptor* d = from.GetDescriptor()->FindFieldByNumber(static_cast<int>(f.number));
    int n = d->is_repeated() ? r->FieldSize(from, d) : 0;
    for (int i = 0; i < n; i++) copy_value(from, d, i, f, place_for(table, f, to, arena), arena);
    if (!d->is_repeated() && r->HasField(from, d))
      copy_value(from, d, -1, f, place_for(table, f, to, arena), arena);
  }
}

uint64_t test_seed() {
  const char* s = std::getenv("QUORATE_SEED");
  return s == nullptr ? 1 : std::strtoull(s, nullptr, 10);
}

int rounds(int normal, int soak) { return std::getenv("QUORATE_SOAK") == nullptr ? normal : soak; }

}  // namespace quorate::wire
