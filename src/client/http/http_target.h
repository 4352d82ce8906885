// A server that speaks the Open Inference Protocol v2 over HTTP/1.1, with binary tensors: Tessera, Triton and others.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/descriptor.h"
#include "client/endpoint.h"
#include "client/http/connection.h"
#include "client/inputs.h"
#include "client/request_options.h"
#include "loadgen/target.h"

namespace tessera::client {

// Connections are opened when a request finds none that is idle, and kept. 503 counts as rejected. Owned by one thread.
class HttpTarget final : public loadgen::Target {
 public:
  // Error: nobody answers there.
  static Result<std::unique_ptr<HttpTarget>> create(const Endpoint& endpoint, RequestOptions options);

  Status prepare(std::size_t tenant, std::int32_t rows) override;
  bool send(std::size_t tenant, std::int32_t rows, std::uint64_t number) override;
  void wait(TimePoint until, std::vector<loadgen::Answer>& answers) override;

 private:
  struct Pool {
    std::vector<std::unique_ptr<Connection>> all;
    std::vector<Connection*> idle;
  };
  using Message = std::shared_ptr<const std::string>;

  HttpTarget(Endpoint endpoint, const SocketAddress& peer, RequestOptions options);
  Result<std::string> get(const std::string& path);
  Result<const ModelFacts*> facts(const std::string& model);
  Message infer_message(const std::string& model, const std::vector<InputData>& inputs) const;

  const Endpoint endpoint_;
  const SocketAddress peer_;
  const RequestOptions options_;
  Descriptor poll_;
  std::vector<char> buffer_;
  std::map<std::string, ModelFacts> facts_;
  std::map<std::pair<std::string, std::int32_t>, Message> messages_;  // by model and rows
  std::vector<std::map<std::int32_t, Message>> ready_;                // by tenant and rows
  std::vector<Pool> pools_;                                           // by tenant
  std::vector<loadgen::Answer> at_once_;                              // to requests that failed when they were sent
};

}  // namespace tessera::client
