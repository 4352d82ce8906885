// The engine without a server: what every figure is compared with.
#pragma once

#include <filesystem>
#include <memory>

#include "clients.h"

namespace tessera::bench {

// ONNX Runtime's own call on the add/sub model, one row, one thread, tensors made once. The thread that makes it is the
// one that calls.
std::unique_ptr<WireClient> direct_engine_call(const std::filesystem::path& model);

}  // namespace tessera::bench
