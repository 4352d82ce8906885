// A server that speaks the Open Inference Protocol v2 over gRPC.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/endpoint.h"
#include "client/inputs.h"
#include "client/request_options.h"
#include "loadgen/inbox.h"
#include "loadgen/target.h"

namespace tessera::client {

// Tenants have connections of their own, as long as there are few. UNAVAILABLE from a server that is there counts as
// rejected. Answers are taken by a thread of its own, but not read. Owned by one thread.
class GrpcTarget final : public loadgen::Target {
 public:
  // Error: nobody answers there.
  static Result<std::unique_ptr<GrpcTarget>> create(const Endpoint& endpoint, RequestOptions options);
  ~GrpcTarget() override;  // gives up what is on its way

  Status prepare(std::size_t tenant, std::int32_t rows) override;
  bool send(std::size_t tenant, std::int32_t rows, std::uint64_t number) override;
  void wait(TimePoint until, std::vector<loadgen::Answer>& answers) override { inbox_.take(until, answers); }

 private:
  class Calls;

  GrpcTarget(const Endpoint& endpoint, RequestOptions options);
  Result<const ModelFacts*> facts(const std::string& model);

  const RequestOptions options_;
  loadgen::Inbox inbox_;
  std::unique_ptr<Calls> calls_;
  std::map<std::string, ModelFacts> facts_;
  std::map<std::pair<std::string, std::int32_t>, std::size_t> kinds_;  // by model and rows: a message in calls_
  std::vector<std::map<std::int32_t, std::size_t>> ready_;             // by tenant and rows
};

}  // namespace tessera::client
