#include "engine/onnxruntime/environment.h"

#include <onnxruntime_session_options_config_keys.h>

#include <mutex>
#include <string>

#include "base/log.h"

namespace tessera::engine {
namespace {

void ORT_API_CALL forward_log(void* /*param*/, OrtLoggingLevel severity, const char* /*category*/, const char* logid,
                              const char* code_location, const char* message) {
  const LogLevel level = severity >= ORT_LOGGING_LEVEL_ERROR     ? LogLevel::kError
                         : severity == ORT_LOGGING_LEVEL_WARNING ? LogLevel::kWarning
                                                                 : LogLevel::kDebug;
  log(level, message,
      {{"from", std::string("onnxruntime")}, {"id", std::string(logid)}, {"at", std::string(code_location)}});
}

}  // namespace

Environment::Environment()
    // Whatever fails comes back as a status; a line for each request whose shapes do not fit would let peers fill the
    // log.
    : env_(ORT_LOGGING_LEVEL_FATAL, "tessera", forward_log, nullptr),
      cpu_(Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault)),
      run_memory_(std::make_shared<RunMemory>()) {
  env_.DisableTelemetryEvents();
  // Fails where somebody else in this process registered memory; then sessions keep arenas of their own.
  registered_ = to_status(Ort::GetApi().RegisterAllocator(env_, run_memory_->for_onnxruntime()), Blame::kUs).ok();
}

Environment::~Environment() {
  if (registered_) {
    static_cast<void>(to_status(Ort::GetApi().UnregisterAllocator(env_, cpu_), Blame::kUs));
  }
}

Result<std::shared_ptr<const Environment>> Environment::create() {
  static std::mutex making;
  static std::weak_ptr<const Environment> last;
  const std::lock_guard lock(making);
  if (auto there = last.lock()) {
    return there;
  }
  auto made = guarded(Blame::kUs, [] {
    return std::shared_ptr<const Environment>(new Environment());  // NOLINT: the constructor is private
  });
  if (made) {
    last = *made;
  }
  return made;
}

Ort::SessionOptions Environment::session_options() const {
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  options.SetInterOpNumThreads(1);
  options.SetExecutionMode(ORT_SEQUENTIAL);
  options.AddConfigEntry(kOrtSessionOptionsConfigAllowIntraOpSpinning, "0");
  options.AddConfigEntry(kOrtSessionOptionsConfigAllowInterOpSpinning, "0");
  // A pattern is kept for every input shape ever seen, so clients who choose shapes would make memory grow; and its one
  // block a run comes on top of the blocks of the first run.
  options.DisableMemPattern();
  if (registered_) {
    options.AddConfigEntry(kOrtSessionOptionsConfigUseEnvAllocators, "1");
  }
  return options;
}

}  // namespace tessera::engine
