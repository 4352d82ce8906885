#include "server/http/infer_call.h"

#include <utility>

namespace tessera::server::http {

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
