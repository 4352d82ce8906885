// bench_without: `tessera serve` on one GPU, less one of the primitives that it is built from, or all, each replaced by
// what servers commonly do instead (bench/primitives.py measures what each is worth).
//   bench_without serve [--without PART] ...   as tessera serve
#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/serve.h"
#include "apps/serve_flags.h"
#include "bench/without/pageable_bodies.h"
#include "device/cuda/driver.h"
#include "device/cuda/gpu.h"
#include "engine/onnxruntime/cuda/cuda_engine.h"

namespace tessera {
namespace {

// Copies ahead of launches, each of which makes its own otherwise; bodies in pinned memory; ends seen by looking for
// them, where one thread waits for one after the other otherwise; loading beside what runs.
const std::vector<std::string> kParts{"nothing", "copies-ahead", "pinned-memory",
                                      "polling", "load-overlap", "everything"};

Result<std::vector<apps::Computing>> open(const std::string& without, const apps::DeviceChoice& choice,
                                          Bytes max_body) {
  if (choice.cuda.size() != 1) {
    return invalid_argument("--device: one GPU, as in cuda:0");
  }
  const device::CudaDeviceSpec& spec = choice.cuda.front();
  TESSERA_ASSIGN_OR_RETURN(const auto driver, device::Driver::open());
  TESSERA_ASSIGN_OR_RETURN(auto gpu, device::Gpu::open(driver, spec.gpu));
  TESSERA_ASSIGN_OR_RETURN(auto options, apps::cuda_options(spec, 1, max_body, choice.completion));
  const auto lacks = [&](const char* part) { return without == part || without == "everything"; };
  if (lacks("copies-ahead")) {
    options.copies = 0;
  }
  options.wait_in_driver = lacks("polling");
  options.load_alone = lacks("load-overlap");
  TESSERA_ASSIGN_OR_RETURN(auto device, device::make_cuda_device(gpu, options));
  apps::Computing computing;
  computing.kind = "cuda";
  computing.description = gpu->name() + " without " + without;
  TESSERA_ASSIGN_OR_RETURN(computing.engine, engine::CudaEngine::create(*device, {}));
  if (lacks("pinned-memory")) {
    computing.device = std::make_unique<bench::PageableBodies>(std::move(device), options.staging.largest);
  } else {
    computing.device = std::move(device);
  }
  std::vector<apps::Computing> out;
  out.push_back(std::move(computing));
  return out;
}

int main(int argc, char** argv) {
  CLI::App app("A server less one of its primitives", "bench_without");
  app.require_subcommand(1);
  apps::ServeOptions options;
  std::string without = kParts.front();
  CLI::App& serve = *app.add_subcommand("serve", "As tessera serve, on one GPU");
  apps::add_serve_flags(serve, options);
  serve.add_option("--without", without, "what is left out")->check(CLI::IsMember(kParts))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return apps::serve(options,
                     [&](const auto& choice, const auto&, Bytes max_body) { return open(without, choice, max_body); });
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::main(argc, argv); }
