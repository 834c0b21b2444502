package org.nuvla.nuvlaops.testenv.s3;

import java.util.List;

import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.ReloadablePlugin;
import org.elasticsearch.plugins.RepositoryPlugin;

/**
 * Registers the repository type "s3" in a server that does not carry Elastic's module: a fixture for tests, with the
 * same settings and the same errors, not for production. Each server version adds its own getRepositories.
 */
abstract class FixturePlugin extends Plugin implements RepositoryPlugin, ReloadablePlugin {

    protected final S3Clients clients;

    FixturePlugin(Settings settings) {
        clients = new S3Clients(settings);
    }

    @Override
    public List<Setting<?>> getSettings() {
        return ClientSettings.ALL;
    }

    @Override
    public void reload(Settings settings) {
        clients.reload(settings);
    }
}
