// etcd's API with requests and answers as text: what scripts are made of.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "e2e/server.h"
#include "rpc.grpc.pb.h"

namespace quorate::test {

constexpr Millis kCallLimit{30000};

// Where a script runs that was written for a fresh store: what was there before has used up revisions, and
// has keys of its own, which begin with a zero byte. The script's key of one zero byte, where it lets ranges
// over everything begin, becomes the one byte 1.
struct Frame {
  int64_t base = 0;  // the script's revision 1 is base + 1; 0: the store is fresh
  void into(google::protobuf::Message* request) const;
  void out_of(google::protobuf::Message* answer) const;
};

// An answer as text in one line, without what differs from server to server or run to run: raft terms and
// indexes, sizes on disk and what remains of a lease's time become 1, ids and addresses become names.
class Normaliser {
 public:
  Normaliser(const Server& server, const Identity& identity, Frame frame = {});
  std::string text(const google::protobuf::Message& message) const;
  std::string status(const grpc::Status& status) const;
  // Ids and addresses only.
  std::string names(std::string text) const;

 private:
  std::vector<std::pair<std::string, std::string>> names_;
  Frame frame_;
};

// One Watch call whose answers are collected as they come. [thread-safe]
class WatchStream {
 public:
  explicit WatchStream(const std::shared_ptr<grpc::Channel>& channel, bool paused = false);
  ~WatchStream();
  bool send(const etcdserverpb::WatchRequest& request);
  void half_close() { stream_->WritesDone(); }
  void cancel() { context_.TryCancel(); }
  // Starts to read, if it was made paused.
  void resume();
  // The next answer; none within the limit, or no more: false.
  bool next(etcdserverpb::WatchResponse* response, Millis limit = Millis(10000));
  bool ended();
  // Waits for its end; once.
  grpc::Status finish();

 private:
  void read_all();
  grpc::ClientContext context_;
  std::unique_ptr<etcdserverpb::Watch::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>> stream_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<etcdserverpb::WatchResponse> received_;
  bool ended_ = false;
  bool finished_ = false;
  std::thread reader_;
};

// A unary call of any method by its name, `Range` or `v3lockpb.Lock.Lock`.
class UnaryCaller {
 public:
  explicit UnaryCaller(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}
  struct Answer {
    grpc::Status status;
    std::unique_ptr<google::protobuf::Message> message;
  };
  // The request of a method, empty; null: there is no such method.
  std::unique_ptr<google::protobuf::Message> request_of(const std::string& method);
  Answer call(const std::string& method, const google::protobuf::Message& request,
              const std::multimap<std::string, std::string>& metadata = {}, Millis limit = kCallLimit);
  // Any path with any bytes.
  grpc::Status call_raw(const std::string& path, const std::string& bytes, std::string* answer);
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace quorate::test
