#include "e2e/api_client.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/impl/client_unary_call.h>

#include <algorithm>

#include "health.grpc.pb.h"
#include "v3election.grpc.pb.h"
#include "v3lock.grpc.pb.h"

namespace quorate::test {
namespace pb = google::protobuf;

namespace {

// Calls visit(message, field) for each field that is set, of the message and of those inside it.
template <typename Visit>
void for_each_field(pb::Message* message, const Visit& visit) {
  const pb::Reflection* r = message->GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  r->ListFields(*message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      visit(message, field);
    } else if (!field->is_repeated()) {
      for_each_field(r->MutableMessage(message, field), visit);
    } else {
      for (int i = 0; i < r->FieldSize(*message, field); ++i)
        for_each_field(r->MutableRepeatedMessage(message, field, i), visit);
    }
  }
}

bool is_revision(const pb::FieldDescriptor* field) {
  return field->cpp_type() == pb::FieldDescriptor::CPPTYPE_INT64 && !field->is_repeated() &&
         (field->name() == "revision" || field->name().ends_with("_revision"));
}

const std::string kZero(1, '\0'), kOne(1, '\1');

bool is_key(const pb::Message& message, const pb::FieldDescriptor* field, const std::string& key) {
  return field->name() == "key" && field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING &&
         message.GetReflection()->GetString(message, field) == key;
}

}  // namespace

void Frame::into(pb::Message* request) const {
  if (base == 0) return;
  for_each_field(request, [&](pb::Message* message, const pb::FieldDescriptor* field) {
    const pb::Reflection* r = message->GetReflection();
    if (is_revision(field)) {
      const int64_t value = r->GetInt64(*message, field);
      if (value > 0 && value <= INT64_MAX - base) r->SetInt64(message, field, value + base);
    } else if (is_key(*message, field, kZero)) {
      r->SetString(message, field, kOne);
    }
  });
  // A field that is 0 is not among those that are set.
  if (auto* compaction = dynamic_cast<etcdserverpb::CompactionRequest*>(request);
      compaction != nullptr && compaction->revision() == 0)
    compaction->set_revision(base);
}

void Frame::out_of(pb::Message* answer) const {
  if (base == 0) return;
  for_each_field(answer, [this](pb::Message* message, const pb::FieldDescriptor* field) {
    const pb::Reflection* r = message->GetReflection();
    if (is_revision(field)) {
      const int64_t value = r->GetInt64(*message, field);
      if (value > base) r->SetInt64(message, field, value - base);
    } else if (is_key(*message, field, kOne)) {
      r->SetString(message, field, kZero);
    }
  });
}

Normaliser::Normaliser(const Server& server, const Identity& identity, Frame frame)
    : frame_(std::move(frame)) {
  auto hex = [](uint64_t id) {
    char text[17];
    snprintf(text, sizeof text, "%lx", id);
    return std::string(text);
  };
  // 16 digits or more each: nothing else looks like them.
  for (const auto& [id, name] :
       {std::pair(identity.member, "MEMBER"), std::pair(identity.cluster, "CLUSTER")}) {
    names_.emplace_back(std::to_string(id), name);
    names_.emplace_back(hex(id), name);
  }
  names_.emplace_back(server.peer_url(), "PEER-URL");
  names_.emplace_back(server.client_url(), "CLIENT-URL");
  names_.emplace_back(server.endpoint(), "ENDPOINT");
}

std::string Normaliser::names(std::string text) const {
  replace_all(&text, "\u00a0",
              " ");  // Go's protobuf chooses by the day which blank it writes into its errors
  for (const auto& [value, name] : names_) replace_all(&text, value, name);
  return text;
}

namespace {

bool varies(std::string_view name) {
  for (std::string_view v :
       {"raft_term", "raftTerm", "raftIndex", "raftAppliedIndex", "dbSize", "dbSizeInUse"})
    if (name == v) return true;
  return false;
}

void mask_number(pb::Message* message, const pb::FieldDescriptor* field) {
  const pb::Reflection* r = message->GetReflection();
  if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_INT64) {
    r->SetInt64(message, field, r->GetInt64(*message, field) > 0 ? 1 : 0);
  } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_UINT64) {
    r->SetUInt64(message, field, r->GetUInt64(*message, field) > 0 ? 1 : 0);
  } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_UINT32) {
    r->SetUInt32(message, field, r->GetUInt32(*message, field) > 0 ? 1 : 0);
  }
}

void mask(pb::Message* message) {
  if (auto* status = dynamic_cast<etcdserverpb::StatusResponse*>(message)) {
    // An alarm as protobuf's text form, in which the blanks are deliberately not to be relied on.
    for (std::string& error : *status->mutable_errors()) {
      replace_all(&error, "  ", " ");
      if (error.ends_with(' ')) error.pop_back();
    }
  }
  if (auto* alarms = dynamic_cast<etcdserverpb::AlarmResponse*>(message)) {
    std::sort(alarms->mutable_alarms()->begin(), alarms->mutable_alarms()->end(),
              [](const auto& a, const auto& b) { return a.alarm() < b.alarm(); });  // in no order at etcd
  }
  if (auto* lease = dynamic_cast<etcdserverpb::LeaseTimeToLiveResponse*>(message)) {
    std::sort(lease->mutable_keys()->begin(), lease->mutable_keys()->end());  // in no order at etcd
    // It may have been a while; not a long one.
    if (lease->ttl() >= 0 && lease->grantedttl() - lease->ttl() <= 30) lease->set_ttl(lease->grantedttl());
  }
  if (auto* grant = dynamic_cast<etcdserverpb::LeaseGrantResponse*>(message)) {
    if (grant->id() > (int64_t{1} << 40)) grant->set_id(int64_t{1} << 40);  // chosen by the server
  }
  if (auto* lease = dynamic_cast<etcdserverpb::LeaseStatus*>(message)) {
    if (lease->id() > (int64_t{1} << 40)) lease->set_id(int64_t{1} << 40);
  }
  if (auto* hash = dynamic_cast<etcdserverpb::HashResponse*>(message)) hash->set_hash(hash->hash() != 0);
  const pb::Reflection* r = message->GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  r->ListFields(*message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      if (varies(field->name())) mask_number(message, field);
    } else if (!field->is_repeated()) {
      mask(r->MutableMessage(message, field));
    } else {
      for (int i = 0; i < r->FieldSize(*message, field); ++i)
        mask(r->MutableRepeatedMessage(message, field, i));
    }
  }
}

}  // namespace

std::string Normaliser::text(const pb::Message& message) const {
  std::unique_ptr<pb::Message> copy(message.New());
  copy->CopyFrom(message);
  frame_.out_of(copy.get());
  mask(copy.get());
  std::string out;
  pb::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.PrintToString(*copy, &out);
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return names(out);
}

std::string Normaliser::status(const grpc::Status& status) const {
  static const char* const kNames[] = {
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  return std::string(kNames[status.error_code()]) + ": " + names(status.error_message());
}

// ---- Watch
// -----------------------------------------------------------------------------------------------------------

WatchStream::WatchStream(const std::shared_ptr<grpc::Channel>& channel, bool paused)
    : stub_(etcdserverpb::Watch::NewStub(channel)) {
  context_.set_wait_for_ready(true);
  stream_ = stub_->Watch(&context_);
  if (!paused) resume();
}

WatchStream::~WatchStream() {
  context_.TryCancel();
  if (!finished_) finish();
}

void WatchStream::resume() {
  reader_ = std::thread([this] { read_all(); });
}

bool WatchStream::send(const etcdserverpb::WatchRequest& request) { return stream_->Write(request); }

void WatchStream::read_all() {
  etcdserverpb::WatchResponse response;
  while (stream_->Read(&response)) {
    std::lock_guard lock(mutex_);
    received_.push_back(std::move(response));
    changed_.notify_all();
  }
  std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

bool WatchStream::next(etcdserverpb::WatchResponse* response, Millis limit) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [this] { return ended_ || !received_.empty(); });
  if (received_.empty()) return false;
  *response = std::move(received_.front());
  received_.pop_front();
  return true;
}

bool WatchStream::ended() {
  std::lock_guard lock(mutex_);
  return ended_ && received_.empty();
}

grpc::Status WatchStream::finish() {
  finished_ = true;
  if (reader_.joinable()) reader_.join();
  return stream_->Finish();
}

// ---- Unary
// -----------------------------------------------------------------------------------------------------------

namespace {

const pb::MethodDescriptor* find_method(const std::string& name) {
  // Every service that etcd has on its client port.
  for (const pb::FileDescriptor* file :
       {etcdserverpb::RangeRequest::descriptor()->file(), v3lockpb::LockRequest::descriptor()->file(),
        v3electionpb::CampaignRequest::descriptor()->file(),
        grpc::health::v1::HealthCheckRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      const pb::ServiceDescriptor* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        const pb::MethodDescriptor* method = service->method(m);
        if (method->name() == name || method->full_name() == name) return method;
      }
    }
  }
  return nullptr;
}

std::unique_ptr<pb::Message> make(const pb::Descriptor* type) {
  return std::unique_ptr<pb::Message>(pb::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

}  // namespace

std::unique_ptr<pb::Message> UnaryCaller::request_of(const std::string& method) {
  const pb::MethodDescriptor* descriptor = find_method(method);
  return descriptor == nullptr ? nullptr : make(descriptor->input_type());
}

UnaryCaller::Answer UnaryCaller::call(const std::string& method, const pb::Message& request,
                                      const std::multimap<std::string, std::string>& metadata, Millis limit) {
  const pb::MethodDescriptor* descriptor = find_method(method);
  const std::string path = "/" + descriptor->service()->full_name() + "/" + descriptor->name();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + limit);
  for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
  Answer answer;
  answer.message = make(descriptor->output_type());
  grpc::internal::RpcMethod rpc(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC);
  answer.status =
      grpc::internal::BlockingUnaryCall<pb::Message, pb::Message, pb::MessageLite, pb::MessageLite>(
          channel_.get(), rpc, &context, request, answer.message.get());
  return answer;
}

grpc::Status UnaryCaller::call_raw(const std::string& path, const std::string& bytes, std::string* answer) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallLimit);
  grpc::Slice slice(bytes);
  grpc::ByteBuffer request(&slice, 1), response;
  grpc::internal::RpcMethod rpc(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC);
  grpc::Status status =
      grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer, grpc::ByteBuffer,
                                        grpc::ByteBuffer>(channel_.get(), rpc, &context, request, &response);
  if (!status.ok()) return status;
  std::vector<grpc::Slice> slices;
  response.Dump(&slices);
  for (const grpc::Slice& s : slices) answer->append(reinterpret_cast<const char*>(s.begin()), s.size());
  return status;
}

}  // namespace quorate::test
