// What the HTTP front end needs from the server behind it; a seam for tests.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/instance.h"
#include "runtime/service.h"
#include "server/http/route.h"
#include "server/shared_memory.h"

namespace tessera::server::http {

// An answer without tensors.
struct Answer {
  int status = 200;
  std::string body;  // JSON, or empty
  std::optional<std::chrono::milliseconds> retry_after;
  std::string_view allow = {};  // of a 405
};

Answer error_answer(const Error& error);

// Called once, on any thread.
using Reply = std::function<void(Answer)>;

// Thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;

  // As runtime::Service.
  virtual void infer(std::shared_ptr<runtime::InferCall> call) = 0;
  virtual void cancel(const runtime::InferCall& call) = 0;
  virtual Result<std::shared_ptr<runtime::BodyMemory>> lease_body(std::string_view model, Bytes size) = 0;
  virtual Result<std::shared_ptr<const model::Instance>> find(std::string_view model,
                                                              std::optional<std::int64_t> version) = 0;
  virtual void count_copied(Bytes bytes) = 0;

  virtual const SharedMemory& shared_memory() = 0;

  // Every endpoint but inference. `body` is the request's, complete.
  virtual void control(const Route& route, Method method, std::string body, Reply reply) = 0;
};

}  // namespace tessera::server::http
