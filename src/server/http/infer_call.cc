#include "server/http/infer_call.h"

#include <utility>

namespace tessera::server::http {

void LoopGate::post(std::shared_ptr<Task> task) {
  const std::lock_guard lock(mutex_);
  if (loop_ != nullptr) {
    loop_->post(std::move(task));
  }
}

void LoopGate::close() {
  const std::lock_guard lock(mutex_);
  loop_ = nullptr;
}

bool LoopGate::in_loop_thread() const {
  const std::lock_guard lock(mutex_);
  return loop_ != nullptr && loop_->in_loop_thread();
}

void InferenceCall::done(Result<InferResponse> answer) noexcept {
  result.emplace(std::move(answer));
  if (gate_->in_loop_thread() && submitting_) {
    answered_within_ = true;
  } else {
    gate_->post(shared_from_this());
  }
}

void InferenceCall::run() {
  if (caller_ != nullptr) {
    // The caller lets go of this call while it handles it.
    const auto caller = caller_;
    caller->answered(*this);
  }
}

}  // namespace tessera::server::http
