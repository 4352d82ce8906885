#include "apps/device_desk.h"

#include <future>
#include <memory>
#include <utility>
#include <vector>

namespace tessera::apps {

void DeviceDesk::ask(const std::string& text, Desk::Reply reply) {
  desk_.take(
      [this, text]() -> Result<std::string> {
        TESSERA_RETURN_IF_ERROR(add(text));
        return std::string();
      },
      std::move(reply));
}

Status DeviceDesk::add(const std::string& text) {
  TESSERA_ASSIGN_OR_RETURN(const DeviceChoice choice, parse_device(text));
  std::vector<std::string> names;
  for (const runtime::DeviceStatistics& there : service_.device_statistics()) {
    names.push_back(there.device);
  }
  TESSERA_RETURN_IF_ERROR(can_be_added(choice, names));
  TESSERA_ASSIGN_OR_RETURN(auto opened, open_(choice, topology_, max_body_));
  if (opened.size() != 1) return invalid_argument("'" + text + "' is not one device");
  Computing& one = opened.front();
  const auto loaded = std::make_shared<std::promise<Status>>();
  TESSERA_RETURN_IF_ERROR(service_.add_device({std::move(one.device), std::move(one.engine), one.max_homes},
                                              [loaded](Status status) { loaded->set_value(std::move(status)); }));
  const Status status = loaded->get_future().get();
  return status.ok() ? status : status.error().in("device '" + text + "' was added, but not all models are on it");
}

}  // namespace tessera::apps
