// An inference request of a connection, on its way through the service and back to the connection's thread.
#pragma once

#include <memory>
#include <optional>

#include "base/result.h"
#include "core/request.h"
#include "model/instance.h"
#include "runtime/service.h"
#include "server/http/body/infer_decoder.h"
#include "server/http/event_loop.h"

namespace tessera::server::http {

class InferenceCall;

// Who gets the answer, on its own thread.
class InferenceCaller {
 public:
  virtual ~InferenceCaller() = default;
  virtual void answered(InferenceCall& call) = 0;
};

// Owned by its connection and, until done() was called, by the service.
class InferenceCall final : public runtime::InferCall, public Task, public std::enable_shared_from_this<InferenceCall> {
 public:
  InferenceCall(std::shared_ptr<LoopGate> gate, std::shared_ptr<InferenceCaller> caller)
      : gate_(std::move(gate)), caller_(std::move(caller)) {}

  AnswerForm form;
  std::shared_ptr<const model::Instance> instance;  // where a classification needs it

  // Around Service::infer, on the loop's thread: an answer that comes within, on this thread, is left in `result`
  // instead of being posted. Returns whether it came.
  void begin_submitting() { submitting_ = true; }
  bool end_submitting() {
    submitting_ = false;
    return answered_within_;
  }

  // Breaks the tie to the caller, on the loop's thread: nobody is told any more.
  void forget_caller() { caller_.reset(); }

  void done(Result<InferResponse> answer) noexcept override;
  void run() override;

  std::optional<Result<InferResponse>> result;

 private:
  const std::shared_ptr<LoopGate> gate_;
  std::shared_ptr<InferenceCaller> caller_;
  bool submitting_ = false;  // read and written by the loop's thread alone
  bool answered_within_ = false;
};

}  // namespace tessera::server::http
