#include "server/http/exchange.h"

#include <algorithm>
#include <utility>

namespace tessera::server::http {

void Exchange::start(const RequestHead& parsed, Route where, std::string_view head_text) {
  head = parsed;
  route = std::move(where);
  body_left = head.content_length.value_or(0);
  if (head.chunked) {
    chunks_.emplace(head_text);
  }
  if (head.content_coding != Coding::kIdentity) {
    inflater_.emplace(max_body_);
  }
  if (route.endpoint != Endpoint::kInfer) {
    return;
  }
  if (!source_.lease) {
    source_.lease = [this](Bytes size) { return backend_.lease_body(route.model, size); };
    source_.signature = [this]() -> Result<ModelSignature> {
      TESSERA_ASSIGN_OR_RETURN(const auto instance, backend_.find(route.model, route.version));
      return instance->signature;
    };
    source_.shared_memory = &backend_.shared_memory();
  }
  BodyShape shape;
  shape.json_length = head.json_length;
  shape.max_bytes = max_body_;
  if (!head.chunked && head.content_coding == Coding::kIdentity) {
    shape.body_length = body_left;
  }
  decoder_.emplace(source_, shape);
}

void Exchange::reset() {
  decoder_.reset();
  control_body_.clear();
  control_body_.shrink_to_fit();
  received_ = 0;
  inflater_.reset();
  chunks_.reset();
  refusal.reset();
  if (call != nullptr) {
    call->forget_caller();
    call.reset();
  }
  outputs.clear();
  out.clear();
  packer.reset();
  packed = {};
  packed_from = 0;
}

Status Exchange::payload(std::span<const std::byte> bytes) {
  received_ += bytes.size();
  if (received_ > max_body_) {
    return Error(ErrorCode::kTooLarge, "the body is larger than the limit of " + std::to_string(max_body_) + " bytes");
  }
  return inflater_ ? unpack(bytes) : unpacked_payload(bytes);
}

Status Exchange::unpack(std::span<const std::byte> bytes) {
  while (true) {
    TESSERA_ASSIGN_OR_RETURN(const Inflater::Step step, inflater_->step(bytes, unpacking_));
    if (!step.unpacked.empty()) {
      TESSERA_RETURN_IF_ERROR(unpacked_payload(step.unpacked));
    }
    bytes = bytes.subspan(step.used);
    if (step.used == 0 && step.unpacked.empty()) {
      return ok_status();
    }
  }
}

Status Exchange::unpacked_payload(std::span<const std::byte> bytes) {
  if (decoder_) {
    return decoder_->feed(bytes);
  }
  control_body_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return ok_status();
}

Result<std::size_t> Exchange::chunked_text(std::string_view text) {
  return chunks_->feed(text, [this](std::span<const std::byte> bytes) { return payload(bytes); });
}

Result<std::size_t> Exchange::gather(std::span<iovec> places) {
  return decoder_ && !inflater_ && !chunks_ ? decoder_->gather(places) : Result<std::size_t>(std::size_t{0});
}

std::uint64_t Exchange::next_payload(std::uint64_t wanted) const {
  const auto missing = decoder_ && !inflater_ ? decoder_->json_missing() : std::nullopt;
  return missing && *missing > 0 ? std::min(*missing, wanted) : wanted;
}

Status Exchange::check_complete() const {
  if (inflater_ && !inflater_->done()) {
    return invalid_argument("the compressed body ends too early");
  }
  return ok_status();
}

Status Exchange::finish_inference(InferenceCall& target) {
  TESSERA_RETURN_IF_ERROR(check_complete());
  TESSERA_RETURN_IF_ERROR(decoder_->finish(target.request, target.form));
  target.request.model = route.model;
  target.request.version = route.version;
  const auto& asked = target.form.outputs;
  if (std::any_of(asked.begin(), asked.end(), [](const OutputOptions& output) { return output.classification > 0; })) {
    TESSERA_ASSIGN_OR_RETURN(target.instance, backend_.find(route.model, route.version));
  }
  return ok_status();
}

Result<std::string> Exchange::finish_control() {
  TESSERA_RETURN_IF_ERROR(check_complete());
  return std::move(control_body_);
}

}  // namespace tessera::server::http
