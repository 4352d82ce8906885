// The answer to an inference request: JSON, with binary tensors as views behind it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/request.h"
#include "server/http/body/infer_decoder.h"
#include "server/outputs.h"

namespace tessera::server::http {

// Appends the JSON to `json` and the bytes that follow it to `tensors`. Error: kInvalidArgument where BYTES are no
// UTF-8 and were asked for as JSON.
Status encode_answer(const InferResponse& response, std::string_view id, std::span<const FinishedOutput> outputs,
                     const AnswerForm& form, std::string& json, std::vector<std::span<const std::byte>>& tensors);

}  // namespace tessera::server::http
