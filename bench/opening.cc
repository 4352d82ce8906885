// What the models on one GPU notice of another one that is opened beside them, step by step, as a server opens it that
// is told to add it. Prints one JSON object a line: the step, how long it took, and by how much its neighbours' latest
// launch and p99 were worse than alone.
//
// usage: bench_opening REPOSITORY [FIRST SECOND]    (GPUs, 0 1; folders with 1/model.onnx, as bench/models.py makes
// them)
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/devices.h"
#include "base/clock.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/pinned_staging.h"
#include "engine/onnxruntime/cuda/cuda_engine.h"
#include "measure/beside.h"
#include "measure/loops.h"
#include "measure/models.h"

namespace tessera {
namespace {

constexpr Bytes kMaxBody{64ULL << 20};

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "bench_opening: %s\n", result.error().message().c_str());
    std::exit(EXIT_FAILURE);
  }
  return std::move(result).value();
}

struct Card {
  std::shared_ptr<device::Gpu> gpu;
  std::unique_ptr<device::CudaDevice> device;
  std::unique_ptr<engine::CudaEngine> engine;
};

device::CudaOptions options_of(int gpu) {
  device::CudaDeviceSpec spec;
  spec.gpu = gpu;
  return must(apps::cuda_options(spec, 1, kMaxBody));
}

// `work` once, beside the neighbours.
void step(measure::Neighbourhood& around, const std::string& name, const std::function<Status()>& work) {
  Duration took{0};
  const auto timed = [&] {
    const TimePoint begin = now();
    Status done = work();
    took = now() - begin;
    return done;
  };
  const measure::Beside found = must(around.beside(timed));
  std::printf(R"({"step":"%s","took_ms":%.2f,"worst_ms_more":%.2f,"worst_p99_ratio":%.3f})"
              "\n",
              name.c_str(), static_cast<double>(took.count()) / 1e6, found.most_worst_ms_more(),
              found.worst_p99_ratio());
  std::fflush(stdout);
}

// Each has kernels of its own, which are loaded to the card with its first load; the second load of one has them there.
void load_each(measure::Neighbourhood& around, const Card& there, const std::string& repository) {
  std::unique_ptr<measure::Model> model;
  for (const auto& [name, what] : {std::pair("resnet50", "load resnet50"), std::pair("resnet50", "load resnet50 again"),
                                   std::pair("mobilenet_v2", "load mobilenet_v2"), std::pair("vgg19", "load vgg19")}) {
    step(around, what, [&, name = name] {
      return measure::as_loader_of(*there.device, [&]() -> Status {
        TESSERA_ASSIGN_OR_RETURN(model,
                                 measure::Model::load(*there.device, *there.engine, repository, name, 1, {1000}));
        TESSERA_RETURN_IF_ERROR(model->loop(1, {0}, there.device->shape().whole()));
        return ok_status();
      });
    });
  }
}

int run(const std::string& repository, int first, int second) {
  const auto driver = must(device::Driver::open());
  Card here;
  here.gpu = must(device::Gpu::open(driver, first));
  here.device = must(device::make_cuda_device(here.gpu, options_of(first)));
  here.engine = must(engine::CudaEngine::create(*here.device));
  if (const Status loader = here.device->become_loader_thread(); !loader.ok()) {
    std::fprintf(stderr, "bench_opening: %s\n", loader.error().message().c_str());
    return EXIT_FAILURE;
  }
  measure::BesideOptions options;
  options.models = repository;
  options.rows = 1;
  options.seconds = 0.5;
  const auto around = must(measure::Neighbourhood::make(*here.device, *here.engine, options));
  const device::CudaOptions there_options = options_of(second);
  Card there;
  step(*around, "context and split", [&]() -> Status {
    TESSERA_ASSIGN_OR_RETURN(there.gpu, device::Gpu::open(driver, second));
    return ok_status();
  });
  std::shared_ptr<void> pinned;
  for (const std::size_t megabytes : {16U, 64U, 512U}) {
    step(*around, "pin " + std::to_string(megabytes) + " MB", [&]() -> Status {
      TESSERA_ASSIGN_OR_RETURN(pinned, device::pin(there.gpu, megabytes << 20));
      return ok_status();
    });
    step(*around, "give back " + std::to_string(megabytes) + " MB", [&] {
      pinned.reset();
      return ok_status();
    });
  }
  step(*around, "device: pinned memory, streams, contexts of all slices", [&]() -> Status {
    TESSERA_ASSIGN_OR_RETURN(there.device, device::make_cuda_device(there.gpu, there_options));
    return ok_status();
  });
  step(*around, "engine", [&]() -> Status {
    const std::array<engine::CudaShared, 1> others{here.engine->shared()};
    TESSERA_ASSIGN_OR_RETURN(there.engine, engine::CudaEngine::create(*there.device, others));
    return ok_status();
  });
  load_each(*around, there, repository);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) {
    std::fputs("usage: bench_opening REPOSITORY [FIRST SECOND]\n", stderr);
    return EXIT_FAILURE;
  }
  return tessera::run(argv[1], argc == 4 ? std::atoi(argv[2]) : 0, argc == 4 ? std::atoi(argv[3]) : 1);
}
