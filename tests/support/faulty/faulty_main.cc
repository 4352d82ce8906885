// tessera_faulty: `tessera serve` whose devices fail, for tests and benchmarks that see a whole process go on or end.
// They are pretended GPUs of 100 MB whose models fail as their files say (fake_model_file.h), or with --real the GPUs
// that --device names. On SIGUSR1 the last device that was opened fails. A pretended one does at once; a real one is
// reported as lost while it goes on (--real report), or a kernel of it traps (--real trap), which costs the process all
// its GPUs: CUDA goes on with none of them. With --real spin no device fails: the next launch does not end.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/serve.h"
#include "apps/serve_flags.h"
#include "base/affinity.h"
#include "base/ids.h"
#include "base/log.h"
#include "device/cuda/gpu.h"
#include "device/fake/fake_device.h"
#include "engine/fake/fake_engine.h"
#include "tests/support/faulty/spinning_device.h"

namespace {

using tessera::Result;
using tessera::Status;
using tessera::apps::Computing;
using tessera::test_support::SpinningDevice;

constexpr tessera::Bytes kMemory{std::uint64_t{100} << 20};

// Any card from architecture 7.5 on; the driver compiles it.
constexpr const char* kTrap = R"ptx(
.version 7.0
.target sm_75
.address_size 64
.visible .entry trap_now() { trap; ret; }
)ptx";

// Launches a kernel that traps, for good: the card's context is beyond repair afterwards. Owned by one thread.
class Trap {
 public:
  static Result<std::unique_ptr<Trap>> on(std::shared_ptr<tessera::device::Gpu> gpu) {
    auto out = std::unique_ptr<Trap>(new Trap(std::move(gpu)));
    TESSERA_RETURN_IF_ERROR(out->prepare());
    return out;
  }

  Status spring() {
    const tessera::device::CurrentContext current(*gpu_);
    TESSERA_RETURN_IF_ERROR(current.status());
    const auto& driver = gpu_->driver();
    return driver.check(
        driver.launch_kernel(reinterpret_cast<CUfunction>(kernel_), 1, 1, 1, 1, 1, 1, 0, stream_, nullptr, nullptr),
        "launch a kernel that traps");
  }

 private:
  explicit Trap(std::shared_ptr<tessera::device::Gpu> gpu) : gpu_(std::move(gpu)) {}

  // Before anybody is served, so that nothing but the launch is left to do. Nothing of it is given back: the context
  // that it belongs to does not outlive the trap.
  Status prepare() {
    const tessera::device::CurrentContext current(*gpu_);
    TESSERA_RETURN_IF_ERROR(current.status());
    const auto& driver = gpu_->driver();
    TESSERA_RETURN_IF_ERROR(driver.check(
        driver.library_load_data(&library_, kTrap, nullptr, nullptr, 0, nullptr, nullptr, 0), "load a kernel"));
    TESSERA_RETURN_IF_ERROR(driver.check(driver.library_get_kernel(&kernel_, library_, "trap_now"), "find a kernel"));
    // Else its first launch would load it, which may wait for what runs.
    CUfunction function = nullptr;
    TESSERA_RETURN_IF_ERROR(driver.check(driver.kernel_get_function(&function, kernel_), "find a kernel's function"));
    TESSERA_RETURN_IF_ERROR(driver.check(driver.func_load(function), "load a kernel"));
    return driver.check(driver.stream_create(&stream_, CU_STREAM_NON_BLOCKING), "make a stream");
  }

  std::shared_ptr<tessera::device::Gpu> gpu_;
  CUlibrary library_ = nullptr;
  CUkernel kernel_ = nullptr;
  CUstream stream_ = nullptr;
};

// What SIGUSR1 does, which is nothing before a device is open. Thread-safe.
class OnSignal {
 public:
  using Failing = std::function<Status()>;

  // To be made while the process has one thread: those that follow leave the signal to this one's.
  OnSignal() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGUSR1);
    // The thread takes no other signal, so that the server's stay the server's.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread([this] { watch(); }).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }

  void set(Failing failing) {
    const std::lock_guard lock(mutex_);
    failing_ = std::move(failing);
  }

 private:
  [[noreturn]] void watch() {
    tessera::name_this_thread("failing");
    while (true) {
      int number = 0;
      if (sigwait(&set_, &number) != 0) continue;
      const std::lock_guard lock(mutex_);
      const Status failed = failing_ ? failing_() : Status(tessera::unavailable("no device is open"));
      tessera::log(tessera::LogLevel::kWarning, "SIGUSR1: a device is made to fail",
                   {{"status", failed.ok() ? std::string("done") : failed.error().message()}});
    }
  }

  sigset_t set_{};
  std::mutex mutex_;
  Failing failing_;
};

std::vector<Computing> pretended(int devices, OnSignal& on_signal) {
  std::vector<Computing> out(static_cast<std::size_t>(devices));
  for (std::size_t i = 0; i < out.size(); ++i) {
    tessera::device::FakeOptions options;
    options.clock = tessera::device::FakeOptions::Clock::kReal;
    options.steady = true;
    options.name += out.size() > 1 ? ":" + std::to_string(i) : "";
    auto engine = std::make_unique<tessera::engine::FakeEngine>(tessera::engine::FakeEngine::Plans::kFakeDevice);
    engine->memory().set(kMemory);
    auto device = std::make_unique<tessera::device::FakeDevice>(options);
    on_signal.set([last = device.get()] {
      last->break_down(tessera::internal_error("SIGUSR1"));
      return tessera::ok_status();
    });
    out[i].kind = "cuda";
    out[i].description = "pretended";
    out[i].device = std::move(device);
    out[i].engine = std::move(engine);
  }
  return out;
}

// Real ones, the last of which fails in that way.
Result<std::vector<Computing>> failing(Result<std::vector<Computing>> opened, const std::string& how,
                                       OnSignal& on_signal) {
  if (!opened.ok()) return opened;
  if (opened->empty()) return opened;
  auto* card = dynamic_cast<tessera::device::CudaDevice*>(opened->back().device.get());
  if (card == nullptr) return tessera::invalid_argument("--real: only GPUs can be made to fail");
  if (how == "report") {
    on_signal.set([gpu = card->gpu()] {
      gpu->fail(tessera::Error(tessera::ErrorCode::kDeviceLost, "SIGUSR1"));
      return tessera::ok_status();
    });
    return opened;
  }
  if (how == "spin") {
    static_cast<void>(opened->back().device.release());
    TESSERA_ASSIGN_OR_RETURN(auto spinning, SpinningDevice::over(std::unique_ptr<tessera::device::CudaDevice>(card)));
    on_signal.set([device = spinning.get()] {
      device->spin_next();
      return tessera::ok_status();
    });
    opened->back().device = std::move(spinning);
    return opened;
  }
  TESSERA_ASSIGN_OR_RETURN(std::shared_ptr<Trap> trap, Trap::on(card->gpu()));
  on_signal.set([trap] { return trap->spring(); });
  return opened;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A server whose devices fail on demand", "tessera_faulty");
  app.require_subcommand(1);
  tessera::apps::ServeOptions options;
  int devices = 1;
  std::string real;
  CLI::App& serve = *app.add_subcommand("serve", "As tessera serve");
  tessera::apps::add_serve_flags(serve, options);
  CLI::Option* const pretends = serve.add_option("--pretended-devices", devices, "how many")->check(CLI::Range(1, 8));
  serve.add_option("--real", real, "the GPUs that --device names instead: how the last one fails, on SIGUSR1")
      ->check(CLI::IsMember({"report", "trap", "spin"}))
      ->excludes(pretends);
  CLI11_PARSE(app, argc, argv);
  // Not given back: its thread has no end but the process's.
  auto& on_signal = *std::make_unique<OnSignal>().release();
  return tessera::apps::serve(options, [=, &on_signal, open = tessera::apps::DeviceOpener()](
                                           const auto& choice, const auto& host, auto max_body) {
    return real.empty() ? Result<std::vector<Computing>>(pretended(devices, on_signal))
                        : failing(open(choice, host, max_body), real, on_signal);
  });
}
